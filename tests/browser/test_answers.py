"""What forms answer with, and the pages on which there is nothing yet: as much for everybody as the others."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Eyes, Keep
from tests.support.people import signed_in
from tests.support.receiver import Receiver
from tests.support.system import System
from tests.support.waiting import until

SIZES: Final = [(1280, False), (360, True)]
NUMBER: Final = "+15558882000"
EMPTY: Final = ("", "/messages", "/inbox", "/phones", "/webhooks", "/keys", "/keys/clients", "/keys/enrolment", "/send")

See = Callable[[Page, str], Awaitable[None]]
"""Looks at a page and keeps its picture under this name."""


@pytest.fixture
async def hook(system: System) -> AsyncIterator[str]:
    """The page of a webhook that has told somebody of one text."""
    async with Receiver.running() as receiver:
        made = await system.cli("webhook", "create", receiver.url)
        await system.cli("phone", "receive", "--name", "phone-1", "--from", NUMBER, "for the webhook")

        async def told() -> bool:
            return bool(receiver.with_text(b"for the webhook"))

        await until(told, "the webhook is told")
        yield f"/dashboard/webhooks/{made['id']}"


def see_with(eyes: Eyes, shots: Keep, width: int, *, dark: bool, problems: list[str]) -> See:
    async def see(page: Page, name: str) -> None:
        await shots(page, f"{name}-{width}-{'dark' if dark else 'light'}")
        problems.extend(await eyes.faults(page, name))

    return see


async def sending(page: Page, see: See, number: str) -> None:
    await page.goto("/dashboard/send")
    await page.locator("#to").fill(f"{number}, +15558882001")
    await page.locator("#text").fill("Grüße aus Köln 👋 " * 12)
    await page.locator("summary").last.click()
    await page.locator("#at").fill(f"{dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)}T08:30")
    await page.locator('button[value="check"]').click()
    await expect(page.locator('button[value="edit"]')).to_be_visible()
    await see(page, "send-checked")
    await page.locator('button[value="send"]').click()
    await page.locator(f'main a:has-text("{number}")').first.click()
    await expect(page.locator('form[action$="/cancel"]')).to_be_attached()
    await see(page, "message-scheduled")
    await page.locator(".confirm > summary").first.click()
    await see(page, "message-confirm")
    await page.locator('form[action$="/cancel"] button').click()
    await expect(page.locator(".notice")).to_be_visible()
    await see(page, "message-canceled")
    await page.goto("/dashboard/send")
    await page.locator("#to").fill("a@b")
    await page.locator('button[value="send"]').evaluate("button => button.form.noValidate = true")
    await page.locator('button[value="send"]').click()
    await expect(page.locator(".error").first).to_be_visible()
    await see(page, "send-refused")


async def phones(page: Page, see: See) -> None:
    await page.goto("/dashboard/phones/enrol")
    await page.locator('form[action$="/enrol"] button').click()
    await expect(page.locator("#arrival")).to_be_visible()
    await see(page, "phone-key")
    await page.goto("/dashboard/phones")
    await page.locator("main .card a").first.click()
    await page.locator(".confirm > summary").last.click()
    await page.locator("#number").fill("a@b")
    await page.locator('form[action$="/test"] button').click()
    await expect(page.locator(".error").first).to_be_visible()
    await see(page, "phone-refused")


async def webhooks(page: Page, see: See, hook: str) -> None:
    await page.goto("/dashboard/webhooks/new")
    await page.locator("#url").fill("https://hooks.example.org/sms")
    await page.locator("main button.primary").click()
    await expect(page.locator("code.secret")).to_be_visible()
    await see(page, "webhook-secret")
    await page.goto("/dashboard/webhooks/new")
    await page.locator("#url").fill("ftp://example.org")
    await page.locator("#max_window").evaluate("field => field.form.noValidate = true")
    await page.locator("main button.primary").click()
    await expect(page.locator(".error").first).to_be_visible()
    await see(page, "webhook-refused")
    await page.goto(hook)
    await page.locator(f'form[action="{hook}/test"] button').click()
    await expect(page.locator("main pre").first).to_be_visible()
    await see(page, "webhook-tried")
    await page.goto(f"{hook}/deliveries")
    await page.locator("tbody a").first.click()
    await expect(page.locator("#delivery")).to_be_visible()
    await see(page, "delivery")
    await page.goto(f"{hook}/replays")
    await page.locator('input[name="state:delivered"]').check()
    await page.locator(f'form[action="{hook}/replays"] button').last.click()
    await expect(page.locator('input[value="begin"], button[value="begin"]').first).to_be_attached()
    await see(page, "replay-counted")


async def account(page: Page, see: See, mark: str) -> None:
    for kind, path in (("key", "/dashboard/keys"), ("client", "/dashboard/keys/clients")):
        await page.goto(f"{path}/new")
        await page.locator("#name").fill(f"billing {mark}")
        await page.locator("main button.primary").click()
        await expect(page.locator("code.secret")).to_be_visible()
        await see(page, f"{kind}-made")
    await page.goto("/dashboard/keys/new")
    await page.locator("#name").fill("nothing")
    ticked = page.locator('input[name^="scope."]:checked')
    while await ticked.count():
        await ticked.first.uncheck()
    await page.locator("main button.primary").click()
    await expect(page.locator(".error").first).to_be_visible()
    await see(page, "key-refused")
    await page.goto("/dashboard/people/new")
    await page.locator("#login").fill(f"bob.{mark}@example.org")
    await page.locator("main button.primary").click()
    await expect(page.locator("main code").first).to_be_visible()
    await see(page, "person-link")
    await page.goto("/dashboard/settings")
    await page.locator("#time_zone").fill("Europe/Atlantis")
    await page.locator('form[action$="/settings"] button').click()
    await expect(page.locator(".error").first).to_be_visible()
    await see(page, "settings-refused")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "dark"), SIZES, ids=lambda value: str(value))
async def test_what_forms_answer_is_for_everybody(eyes: Eyes, hook: str, shots: Keep, width: int, dark: bool) -> None:
    problems: list[str] = []
    see = see_with(eyes, shots, width, dark=dark, problems=problems)
    page = await eyes.open("fr" if dark else "en", width=width, dark=dark)
    await sending(page, see, f"+1555888{width:04}")
    await phones(page, see)
    await webhooks(page, see, hook)
    await account(page, see, f"{width}")
    assert problems == []
    await eyes.assert_quiet()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("width", "dark"), SIZES, ids=lambda value: str(value))
async def test_what_is_empty_is_for_everybody(eyes: Eyes, system: System, shots: Keep, width: int, dark: bool) -> None:
    problems: list[str] = []
    see = see_with(eyes, shots, width, dark=dark, problems=problems)
    name = f"fresh-{width}"
    await system.cli("account", "create", name)
    page = await eyes.open("fr" if dark else "en", width=width, dark=dark, account=name)
    for path in EMPTY:
        await page.goto(f"/dashboard{path}")
        await expect(page.locator("h1")).to_be_visible()
        await see(page, f"empty{path.replace('/', '-')}")
    async with signed_in(system, "viewer", name):
        pass
    page = await eyes.open(login=f"viewer@{name}.example.org", account=name, width=width, dark=dark)
    for path in ("", "/phones", "/send"):
        await page.goto(f"/dashboard{path}")
        await see(page, f"viewer{path.replace('/', '-')}")
    assert problems == []
    await eyes.assert_quiet()
