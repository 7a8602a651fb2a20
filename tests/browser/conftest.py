"""A running system, a headless Chromium, and what accessibility is measured with."""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from services.gateway.dashboard.frame.languages import Words, load
from tests.support.system import System, running_system

AXE = "4.11.0"
WORDS = load()
Keep = Callable[[Page, str], Awaitable[None]]
"""Keeps a picture of a page under this name."""

STEP_MS = 15_000
"""What a browser may wait for at most, in milliseconds."""


class Eyes:
    """Opens pages of the dashboard in Chromium, and says what is wrong with them."""

    def __init__(self, browser: Browser, system: System, axe: str) -> None:
        """`axe`: the script that finds what some people cannot use."""
        self._browser = browser
        self._system = system
        self._axe = axe
        self._refused: list[str] = []

    async def stranger(
        self, language: str = "en", *, width: int = 1280, dark: bool = False, script: bool = True
    ) -> Page:
        """A page of a browser that is not signed in; closed with the browser."""
        context = await self._browser.new_context(
            base_url=self._system.base_url,
            locale=language,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        context.set_default_timeout(STEP_MS)
        page = await context.new_page()
        page.on("console", self._hear)
        return page

    async def open(self, language: str = "en", *, login: str = "", account: str = "default", **more: Any) -> Page:
        """A page on the overview, signed in by a link of its own."""
        page = await self.stranger(language, **more)
        words = ("dashboard", "link", "--account", account, *(("--user", login) if login else ()))
        await page.goto((await self._system.cli(*words))["link"])
        await page.locator("main form button").first.click()
        await page.wait_for_url("**/dashboard")
        return page

    async def faults(self, page: Page, name: str) -> list[str]:
        """What no page of the dashboard may have, each with the page's name."""
        told = await self._unfit(page)
        if await page.title() == "owned":
            told.append("a text ran as a script")
        reach, width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if reach > width:
            told.append(f"{reach} of {width} pixels wide")
        return [f"{name}: {each}" for each in told]

    async def _unfit(self, page: Page) -> list[str]:
        """What axe-core finds serious or critical on the page."""
        await page.evaluate(self._axe)
        told: list[dict[str, Any]] = await page.evaluate("async () => (await axe.run(document)).violations")
        return [
            f"{each['id']}: {node['target']} {node['html'][:200]}"
            for each in told
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    async def assert_quiet(self) -> None:
        """No page did what its content security policy forbids."""
        assert self._refused == []

    def _hear(self, told: ConsoleMessage) -> None:
        if "Content Security Policy" in told.text:
            self._refused.append(told.text)


@pytest.fixture(scope="session")
async def system() -> AsyncIterator[System]:
    """A system with one simulated phone, as `make up` starts it."""
    async with running_system() as running:
        yield running


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": {"axe-core": AXE}}))
    install = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="session")
async def eyes(system: System, axe: str) -> AsyncIterator[Eyes]:
    """Opens pages in Chromium."""
    chromium = os.environ.get("SMSFLEET_TEST_CHROMIUM") or shutil.which("chromium")
    assert chromium, "no chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield Eyes(browser, system, axe)
        await browser.close()


@pytest.fixture
def shots() -> Keep:
    """Keeps a picture of a page, where SMSFLEET_TEST_SCREENSHOTS names a folder."""
    folder = os.environ.get("SMSFLEET_TEST_SCREENSHOTS")

    async def keep(page: Page, name: str) -> None:
        if folder:
            await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return keep


def words(language: str) -> Words:
    """What the pages say in this language."""
    return WORDS[language]
