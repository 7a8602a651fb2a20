"""People who visit the dashboard of a whole installation, each with a browser of their own."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from shared.contracts import registry
from shared.contracts.rpc.auth import SetAccount
from shared.contracts.rpc.people import CreateUser, Role
from tests.support.browser import Browser, Page, browsing
from tests.support.smsgate_world import World

PASSWORD = "velvet otter 42"


@contextlib.asynccontextmanager
async def visiting(here: World, role: Role = "owner", language: str = "en") -> AsyncIterator[Browser]:
    """A signed-in browser of a new user of the world's present account."""
    account = here.account.account
    login = f"{role}.{language}.{account}@example.org"
    await here.ask.ask(
        registry.AUTH_USER_CREATE, CreateUser(account=account, login=login, role=role, password=PASSWORD), 20
    )
    async with browsing(here.url) as browser:
        browser.headers["Accept-Language"] = language
        assert (await browser.sign_in(login, PASSWORD)).status == 303
        yield browser


async def set_account(here: World, **changes: Any) -> None:
    """Changes what the world's present account may do."""
    await here.ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=here.account.account, **changes))


async def followed(browser: Browser, page: Page) -> Page:
    """The page that an answer sends the browser to."""
    assert page.status == 303, page.text[:3000]
    return await browser.get(page.location)
