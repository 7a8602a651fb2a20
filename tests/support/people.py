"""People of a running system, each in a browser of their own."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.support.browser import Browser, browsing
from tests.support.system import System


@contextlib.asynccontextmanager
async def signed_in(system: System, role: str = "owner", account: str = "default") -> AsyncIterator[Browser]:
    """A browser of somebody with this role, who is made where nobody has it."""
    login = f"{role}@{account}.example.org"
    users = (await system.cli("user", "list", "--account", account))["users"]
    if login not in {user["login"] for user in users}:
        await system.cli("user", "create", login, "--role", role, "--no-password", "--account", account)
    told = await system.cli("dashboard", "link", "--user", login, "--account", account)
    path = urlsplit(told["link"]).path
    async with browsing(system.base_url) as browser:
        answer = await browser.submit(await browser.get(path), path)
        assert answer.status == 303, answer
        yield browser
