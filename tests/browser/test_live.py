"""Pages that renew themselves while somebody uses them: nothing is taken out of a hand."""

import asyncio
import re
import time

from playwright.async_api import Page, Route, expect

from tests.browser.conftest import STEP_MS, Eyes, words
from tests.support.system import System
from tests.support.waiting import until


def in_a_month() -> int:
    return int(time.time()) + 30 * 86_400


async def opened(page: Page, path: str) -> None:
    """The page, when it hears of changes."""
    await page.goto(path)
    await expect(page.locator("html")).to_have_attribute("data-stream", "open")


async def read_again(page: Page, path: str, system: System, to: str = "+15558880190") -> None:
    """Something else of the account changes, and the page has read itself again because of it."""
    async with page.expect_response(lambda answer: answer.url.endswith(path), timeout=STEP_MS):
        await system.send("something else", to)
    await page.evaluate("new Promise((done) => setTimeout(done, 50))")


async def test_a_question_stays_open_and_the_focus_where_it_was(eyes: Eyes, system: System) -> None:
    guid = await system.send("not before a month has gone", "+15558880101", schedule_timestamp=in_a_month())
    page, path = await eyes.open(), f"/dashboard/messages/{guid}"
    await expect(page.locator("#overview")).to_be_visible()
    await opened(page, path)
    question = page.locator("details.confirm").first
    await question.locator("summary").click()
    await question.locator("button").focus()
    await read_again(page, path, system)
    await expect(question).to_have_attribute("open", "")
    await expect(question.locator("button")).to_be_focused()
    copy = page.locator("button[data-copy]")
    await copy.focus()
    await read_again(page, path, system)
    await expect(copy).to_be_focused()
    await expect(copy).to_be_visible()


async def test_a_question_never_becomes_another_ones(eyes: Eyes, system: System) -> None:
    guid = await system.send("to be canceled", "+15558880102", schedule_timestamp=in_a_month())
    page, other = await eyes.open(), await eyes.open()
    cancel, resend = (f"details.confirm:has(form[action$='/{what}'])" for what in ("cancel", "resend"))
    for each in (page, other):
        await opened(each, f"/dashboard/messages/{guid}")
        await each.locator(f"{cancel} summary").click()
    await other.locator(f"{cancel} button").click()
    # What was asked cannot be done any more; the question about sending it again is not open.
    await expect(page.locator(resend)).to_be_visible()
    await expect(page.locator("details.confirm[open]")).to_have_count(0)


async def test_rows_that_arrive_leave_the_others_alone(eyes: Eyes, system: System) -> None:
    page = await eyes.open()
    for nth in range(3):
        await system.send(f"row {nth}", "+15558880103")
    await opened(page, "/dashboard/messages?q=%2B15558880103")
    await expect(page.locator("tbody tr")).to_have_count(3)
    link = page.locator("tbody a").nth(1)
    await link.focus()
    href = await link.get_attribute("href")
    await system.send("row 3", "+15558880103")
    await expect(page.locator("tbody tr")).to_have_count(4)
    await expect(page.locator(f'tbody a[href="{href}"]')).to_be_focused()
    assert await page.locator("tbody a").nth(2).get_attribute("href") == href
    await expect(page.locator("tbody")).to_have_text(re.compile(r"row 3[\s\S]*row 2[\s\S]*row 1[\s\S]*row 0"))


async def test_who_reads_further_up_stays_there_and_who_is_at_the_end_follows(eyes: Eyes, system: System) -> None:
    number = "+15558880104"
    for nth in range(15):
        await system.send(f"{nth} " + "many words " * 15, number)
    page, path = await eyes.open(), f"/dashboard/inbox/thread?with=%2B{number[1:]}"
    await expect(page.locator("#overview")).to_be_visible()
    await opened(page, path)
    end = "talk.scrollHeight - talk.scrollTop - talk.clientHeight"
    assert await page.evaluate(end) < 40
    await system.send("the newest", number)
    await expect(page.locator("#talk")).to_contain_text("the newest")
    assert await page.evaluate(end) < 40
    await page.evaluate("talk.scrollTop = 200")
    await read_again(page, path, system)
    assert await page.evaluate("talk.scrollTop") == 200


async def test_what_is_typed_outlives_the_session(eyes: Eyes, system: System) -> None:
    number, login = "+15558880105", "typist@example.org"
    await system.send("hello", number)
    if login not in {user["login"] for user in (await system.cli("user", "list"))["users"]}:
        await system.cli("user", "create", login, "--role", "member", "--no-password")
    page, path = await eyes.open(login=login), f"/dashboard/inbox/thread?with=%2B{number[1:]}"
    await expect(page.locator("#overview")).to_be_visible()
    await opened(page, path)
    await page.locator("#text").fill("typed for ten minutes")
    await system.cli("user", "sign-out", login)
    await read_again(page, path, system)
    await expect(page.locator("#text")).to_have_value("typed for ten minutes")
    await page.locator(".reply button").click()
    await expect(page.locator("main")).to_contain_text("typed for ten minutes")
    await expect(page.locator("main a.primary")).to_have_attribute("href", re.compile("^/dashboard/sign-in"))
    assert await eyes.faults(page, "a text that was not sent") == []
    # A page with nothing on it to lose says at once that nobody is signed in any more.
    await system.cli("user", "sign-out", login)
    empty = await eyes.open(login=login)
    await opened(empty, path)
    await system.cli("user", "sign-out", login)
    await system.send("something else", "+15558880190")
    await expect(empty).to_have_url(re.compile("/dashboard/sign-in"))


async def test_a_page_that_could_not_be_read_is_read_again(eyes: Eyes, system: System) -> None:
    guid = await system.send("later", "+15558880106", schedule_timestamp=in_a_month())
    page, path = await eyes.open(), f"/dashboard/messages/{guid}"
    await page.clock.install()
    await opened(page, path)
    refused = asyncio.Event()

    async def refuse(route: Route) -> None:
        refused.set()
        await route.fulfill(status=503, body="away")

    await page.route(f"**{path}", refuse, times=1)
    await page.evaluate("document.title = 'not loaded anew'")
    await system.get("/cancel/", guid=guid)
    async with asyncio.timeout(STEP_MS / 1000):
        await refused.wait()

    async def again() -> bool:
        await page.clock.run_for(11_000)
        return await page.locator("#message .head .badge").inner_text() == words("en")("common.state.canceled")

    await until(again, "the page has read itself again")
    assert await page.title() == "not loaded anew"


async def test_without_a_stream_pages_are_read_by_a_slow_clock(eyes: Eyes, system: System) -> None:
    page = await eyes.open()
    await page.clock.install()
    await page.route("**/dashboard/live", lambda route: route.fulfill(status=503, body=""))
    number = "+15558880107"
    await page.goto(f"/dashboard/messages?q=%2B{number[1:]}")
    await system.send("by the clock", number)

    async def read() -> bool:
        # The search knows a message a second or two of real time after it was accepted.
        await page.clock.run_for(16_000)
        return "by the clock" in await page.locator("#messages").inner_text()

    await until(read, "the page has read itself again")


async def test_pages_that_nobody_sees_keep_no_connection(eyes: Eyes, system: System) -> None:
    number = "+15558880109"
    first = await eyes.open()
    # A headless browser hides no page by itself.
    turn = "(is) => { Object.defineProperty(document, 'hidden', { value: is, configurable: true });"
    turn += " document.dispatchEvent(new Event('visibilitychange')); }"
    pages = [await first.context.new_page() for _ in range(8)]
    for page in (first, *pages):
        await opened(page, f"/dashboard/messages?q=%2B{number[1:]}")
        await page.evaluate(turn, True)
        await expect(page.locator("html")).to_have_attribute("data-stream", "closed")
    await system.send("while nobody looked", number)
    await first.evaluate(turn, False)
    await expect(first.locator("html")).to_have_attribute("data-stream", "open")
    await expect(first.locator("#messages")).to_contain_text("while nobody looked")


async def test_copying_keeps_the_focus_and_says_so(eyes: Eyes, system: System) -> None:
    guid = await system.send("to copy", "+15558880108")
    page = await eyes.open()
    # As over plain http, where there is no clipboard to write to.
    await page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await page.goto(f"/dashboard/messages/{guid}")
    copy = page.locator("button[data-copy]")
    await copy.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#spoken")).to_have_text(words("en")("common.copied"))
    await expect(copy).to_be_focused()
    await expect(page.locator("#spoken")).to_have_text("")
    await eyes.assert_quiet()
