"""What a newcomer does in the browser, from the sign-in link to a program with its own key, in both languages."""

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from deploy.local.paths import PROJECT
from tests.browser.conftest import STEP_MS, Eyes, words
from tests.support.receiver import Receiver
from tests.support.system import System

LANGUAGES = ("en", "fr")


@contextlib.asynccontextmanager
async def phone_running(command: str, folder: Path, system: System) -> AsyncIterator[None]:
    """The line that the page shows, run as it stands; the command is ours instead of the installed one."""
    line = [*system.command, *command.split()[1:], "--home", str(folder)]
    quiet = asyncio.subprocess.DEVNULL
    phone = await asyncio.create_subprocess_exec(
        *line, cwd=PROJECT, env=system.environment(), stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        yield
    finally:
        phone.terminate()
        async with asyncio.timeout(20):
            await phone.wait()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_way_of_a_newcomer(system: System, eyes: Eyes, language: str, tmp_path: Path) -> None:
    t = words(language)
    number = f"+155588800{LANGUAGES.index(language):02}"
    page = await eyes.open(language)
    await expect(page).to_have_title(f"{t('overview.title')} · SMSFleet")

    # Add a phone, and see it arrive without touching the page.
    await page.goto("/dashboard/phones/enrol")
    await page.get_by_role("button", name=t("phones.enrol.make")).click()
    await expect(page.locator("#arrival")).to_contain_text(t("phones.arrival.waiting"))
    command = await page.locator(".codeblock code").first.text_content() or ""
    command = command.replace("phone-2", f"visitor-{language}")
    async with phone_running(command, tmp_path / "phone", system):
        await expect(page.locator("#arrival")).to_contain_text(t("phones.arrival.there"), timeout=STEP_MS)
        await page.goto("/dashboard/phones")
        await expect(page.locator("main")).to_contain_text(f"visitor-{language}")

    # Send, and watch it turn delivered.
    await page.goto("/dashboard/send")
    await page.get_by_label(t("send.to"), exact=True).fill(number)
    await page.get_by_label(t("send.text"), exact=True).fill("Grüße 👋")
    await expect(page.locator("#text-shape")).to_contain_text(t("send.shape.ucs2"))
    await page.locator('button[name="step"][value="send"]').click()
    await page.wait_for_url(re.compile(r"/dashboard/messages/[0-9a-f]{40}"))
    await expect(page.locator("#message .head .badge")).to_have_text(t("common.state.delivered"))

    # The answer arrives in its thread, live, and is answered.
    await page.goto("/dashboard/inbox")
    await page.locator("#threads a", has_text=number).click()
    await expect(page.locator("#talk")).to_contain_text("Grüße 👋")
    await system.cli("phone", "receive", "--name", "phone-1", "--from", number, "a reply, live")
    await expect(page.locator("#talk")).to_contain_text("a reply, live")
    await page.get_by_label(t("inbox.reply")).fill("and its answer")
    await page.get_by_role("button", name=t("inbox.send")).click()
    await expect(page.locator("#talk")).to_contain_text("and its answer")

    # A webhook, and what it was told.
    async with Receiver.running() as receiver:
        await page.goto("/dashboard/webhooks/new")
        await page.get_by_label("URL", exact=False).first.fill(receiver.url)
        await page.get_by_role("button", name=t("webhooks.make")).click()
        await expect(page.locator("code.secret")).to_contain_text("whsec_")
        secret_page = page.url
        await system.cli("phone", "receive", "--name", "phone-1", "--from", number, f"hook in {language}")
        await page.goto("/dashboard/webhooks")
        await page.locator("main a", has_text=receiver.url).first.click()
        await page.wait_for_url(re.compile(r"/dashboard/webhooks/wh_\w+$"))
        assert page.url != secret_page
        # The reply from before is an event for this webhook, too.
        rows = page.locator("tbody tr", has_text="sms.received").filter(has_text=t("webhooks.state.delivered"))
        await expect(rows.first).to_be_visible()
        await rows.first.get_by_role("link").first.click()
        await expect(page.locator("#delivery")).to_contain_text(f"hook in {language}")
        await expect(page.locator("#delivery")).to_contain_text("200")

    # A key, used by curl as the page writes it.
    await page.goto("/dashboard/keys/new")
    await page.get_by_label(t("keys.name"), exact=True).fill(f"made in {language}")
    await page.get_by_role("button", name=t("keys.key.create")).click()
    key = await page.locator("code.secret").text_content()
    line = await page.locator("pre code").first.text_content() or ""
    assert key is not None
    assert key in line
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True
    )
    sent, received = (json.loads(answer)["result"] for answer in done.stdout.replace("}{", "}\n{").splitlines())
    assert (sent["error"], sent["sent"]) == (0, "1"), done.stdout
    assert f"hook in {language}" in [each["message"] for each in received["sms"]]
    await page.get_by_role("link", name=t("keys.key.done")).click()
    await expect(page.locator("main")).to_contain_text(f"made in {language}")
    assert key not in await page.content()
    await eyes.assert_quiet()


async def test_everything_can_be_read_without_a_script(eyes: Eyes, system: System) -> None:
    page = await eyes.open(script=False)
    for path in ("/dashboard/messages", "/dashboard/inbox", "/dashboard/phones", "/dashboard/keys", "/dashboard/send"):
        answer = await page.goto(path)
        assert answer is not None
        assert answer.ok, path
        await expect(page.locator("h1")).to_be_visible()
    await page.get_by_label(words("en")("send.to"), exact=True).fill("+15558880099")
    await page.get_by_label(words("en")("send.text"), exact=True).fill("without a script")
    await page.locator('button[name="step"][value="send"]').click()
    await expect(page.locator("#message")).to_contain_text("without a script")


async def test_signing_out_everywhere_ends_the_other_browser(eyes: Eyes, system: System) -> None:
    login = "twice@example.org"
    users = (await system.cli("user", "list"))["users"]
    if login not in {user["login"] for user in users}:
        await system.cli("user", "create", login, "--role", "viewer", "--no-password")
    first, second = await eyes.open(login=login), await eyes.open(login=login)
    await first.goto("/dashboard/profile")
    await first.locator(".confirm > summary").click()
    await first.locator('form[action="/dashboard/sign-out-everywhere"] button').click()
    await expect(first).to_have_url(re.compile("/dashboard/sign-in"))
    await second.goto("/dashboard/messages")
    await expect(second).to_have_url(re.compile("/dashboard/sign-in"))


async def _menu(page: Page) -> None:
    await page.locator("details.menu > summary").click()


async def test_the_menu_opens_by_key_and_closes_by_escape(eyes: Eyes) -> None:
    page = await eyes.open(width=360)
    await page.locator("details.menu > summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".menu nav")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".menu nav")).to_be_hidden()
    await _menu(page)
    await page.get_by_role("link", name=words("en")("common.nav.phones")).click()
    await page.wait_for_url("**/dashboard/phones")
