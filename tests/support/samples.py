"""The ready-made lines of the dashboard, run as somebody would who copied them into a terminal or a file."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.browser import Page
from tests.support.dashboards import Dashboard
from tests.support.markup import Markup

WITHIN_S = 40
TEXT = "a text that came in"
"""What the account has received."""


async def made(dashboard: Dashboard, place: str) -> Page:
    """The page that shows a new key (`keys`) or client (`keys/clients`) that may send and read."""
    async with dashboard.signed_in() as browser:
        form = await browser.get(f"/dashboard/{place}/new")
        fields = {"name": "shop", "scope.sms:send": "on", "scope.sms:read": "on"}
        page = await browser.submit(form, f"/dashboard/{place}", **fields)
    assert page.status == 200, page.text[-2000:]
    return page


def lines_of(page: Page, language: str) -> str:
    """What its button copies."""
    found = iter(Markup(page.text).elements)
    for tag, attributes in found:
        if tag == "pre" and attributes["aria-label"] == language:
            return next(each["data-copy"] for name, each in found if name == "button")
    raise AssertionError(language)


async def printed(command: Sequence[str], folder: Path) -> str:
    """What the program prints; it must end well."""
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
