"""The page that sends: what a person types is what goes out, once, or says beside the field what is wrong."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.browser import Browser, Page
from tests.support.markup import Markup
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.visiting import followed, set_account, visiting
from tests.support.waiting import until

SEND = "/dashboard/send"
HOSTILE = '"><script>alert(1)</script></textarea>\u202e<img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


def fields(page: Page) -> dict[str, str]:
    """What a browser would send of the page's form, were its button pressed."""
    form = page.text.split('action="/dashboard/send"')[1]
    found = {each["name"]: each.get("value", "") for each in Markup(form).of("input") if "name" in each}
    return {name: value for name, value in found.items() if name != "csrf"}


async def send(browser: Browser, **typed: str) -> Page:
    form = await browser.get(SEND)
    return await browser.submit(form, SEND, **(fields(form) | {"step": "send"} | typed))


async def stored(here: World, count: int) -> list[dict[str, object]]:
    """The account's messages in order, when there are so many."""

    async def rows() -> list[dict[str, object]]:
        found = await here.pool.fetch("select * from messages where account_id = $1 order by id", here.account.account)
        return [dict(row) for row in found]

    async def there() -> bool:
        return len(await rows()) >= count

    await until(there, f"{count} messages are stored")
    return await rows()


async def test_a_double_click_sends_once_and_the_page_follows_it(here: World) -> None:
    phone = await here.caller()
    async with visiting(here, "member") as browser:
        form = await browser.get(SEND)
        typed = fields(form) | {"to": "+33612345678", "text": "one\r\ntwo", "step": "send"}
        first, second = [await browser.submit(form, SEND, **typed) for _ in range(2)]
        assert first.location == second.location
        assert first.location.endswith("?notice=send.notice.accepted")
        guid = first.location.split("/")[-1].partition("?")[0]
        await here.becomes(guid, "queued")
        page = await followed(browser, first)
        assert "The message was accepted." in page.text
        (row,) = await stored(here, 1)
        assert (row["text"], row["origin"], row["recipient"]) == ("one\ntwo", "dashboard", "+33612345678")
        assert row["submitter"] == await here.pool.fetchval(
            "select id from users where account_id = $1", here.account.account
        )
        assert [item["textMessage"]["text"] for item in await phone.pull()] == ["one\ntwo"]


async def test_checking_shows_what_would_go_and_sends_nothing(here: World) -> None:
    phone = await here.caller()
    await set_account(here, time_zone="Europe/Paris", region="FR")
    year = datetime.now(UTC).year + 1
    gap = next(day for day in range(31, 24, -1) if datetime(year, 3, day, tzinfo=UTC).weekday() == 6)
    async with visiting(here) as browser:
        typed = {
            "to": "+33612345678; 0698765432\r\n06 98 76 54 32", "text": f"é{HOSTILE}ç" * 2,
            "by": f"{phone.device}:2", "at": f"{year}-03-{gap}T02:30", "priority": "urgent", "valid": "3600",
        }  # fmt: skip
        check = await send(browser, **typed, step="check")
        shown = Markup(check.text)
        assert check.status == 200, check.text[:3000]
        shown.assert_harmless()
        assert "img" not in {tag for tag, attributes in shown.elements if "onerror" in attributes}
        for words in ("2 recipients", "1 duplicate", "6 parts", "(3 × 2 recipients)", "Unicode", "SIM 2",
                      "The clocks go forward", "03:30:00 CEST", "Urgent", "1 h"):  # fmt: skip
            assert words in shown.text, words
        assert (
            await here.pool.fetchval("select count(*) from messages where account_id = $1", here.account.account) == 0
        )
        kept = fields(check)
        again = await browser.submit(check, SEND, **kept, step="edit")
        assert Markup(again.text).text.count(HOSTILE) == 2
        sent = await browser.submit(check, SEND, **kept, step="send")
        assert sent.location == "/dashboard/messages?notice=send.notice.accepted_all"
        rows = await stored(here, 2)
        assert [row["recipient"] for row in rows] == ["+33612345678", "+33698765432"]
        at = datetime(year, 3, gap, 1, 30, tzinfo=UTC)
        assert {(row["scheduled_at"], row["valid_until"], row["priority"]) for row in rows} == {
            (at, at + timedelta(hours=1), 100)
        }
        assert {(row["wanted_device_id"], row["wanted_sim"]) for row in rows} == {(phone.device, 2)}


FAULTS = {
    "nobody": ({"to": " , "}, "to", "at least one phone number", "au moins un numéro"),
    "no number": ({"to": "+33612345678, <b>x"}, "to", "<b>x\u2069 is not a phone number", "n’est pas un numéro"),
    "no text": ({"text": ""}, "text", "Enter a text.", "Saisissez un texte."),
    "too long": ({"text": "x" * 20_001}, "text", "longer than 20,000", "dépasse 20\u202f000"),
    "not storable": ({"text": "a\0b"}, "text", "no phone can send", "aucun téléphone ne peut envoyer"),
    "no time": ({"at": "tomorrow"}, "at", "not a valid date", "n’est pas valable"),
    "past": ({"at": "2020-01-01T10:00"}, "at", "That time has passed", "Cette heure est passée"),
    "too far": ({"at": "2099-01-01T10:00"}, "at", "at most a year", "un an à l’avance"),
    "no such phone": ({"by": "p" * 21}, "by", "has been removed", "a été retiré"),
}


async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(here: World) -> None:
    await here.caller()
    async with visiting(here) as english, visiting(here, "member", "fr") as french:
        for name, (typed, field, *sentences) in FAULTS.items():
            wishes = {"to": "+33612345678", "text": HOSTILE, "at": "", "by": ""} | typed
            for browser, sentence in zip((english, french), sentences, strict=True):
                page = await send(browser, **wishes)
                shown = Markup(page.text)
                assert page.status == 400, name
                shown.assert_harmless()
                hint = re.search(rf'<p id="{field}-hint" class="error">(.*?)</p>', page.text, re.S)
                assert hint is not None, name
                assert sentence in Markup(hint[1]).text, name
                assert wishes["to"] in shown.text or field == "to"
                assert (wishes["text"] in shown.text) or name == "not storable"
        assert (
            await here.pool.fetchval("select count(*) from messages where account_id = $1", here.account.account) == 0
        )


async def test_the_accounts_limits_hold_here_too(here: World) -> None:
    await here.caller()
    async with visiting(here) as browser:
        await set_account(here, max_parts=1, daily_sends=1)

        async def refused() -> bool:
            page = await send(browser, to="+33612345678", text="x" * 161)
            return page.status == 400 and "Parts allowed per message: 1." in page.text

        await until(refused, "the limit is known")
        shape = await browser.submit(await browser.get(SEND), f"{SEND}/shape", text="x" * 161)
        assert shape.text == '{"text-shape":"2 parts · 161 characters · GSM alphabet. Parts allowed per message: 1."}'
        assert (await send(browser, to="+33612345678", text="first")).status == 303
        second = await send(browser, to="+33612345678", text="second")
        assert (second.status, "limit of messages for today" in second.text) == (429, True)


async def test_a_changed_form_that_was_sent_needs_a_second_press(here: World) -> None:
    await here.caller()
    async with visiting(here) as browser:
        form = await browser.get(SEND)
        typed = fields(form) | {"to": "+33612345678", "text": "first", "step": "send"}
        assert (await browser.submit(form, SEND, **typed)).status == 303
        changed = await browser.submit(form, SEND, **(typed | {"text": "second"}))
        assert (changed.status, "has already sent a message" in changed.text) == (409, True)
        assert (await browser.submit(changed, SEND, **(typed | {"text": "second"} | fields(changed)))).status == 303
        assert [row["text"] for row in await stored(here, 2)] == ["first", "second"]


async def test_who_may_not_send_and_who_has_no_phone(here: World) -> None:
    async with visiting(here, "viewer") as viewer:
        page = await viewer.get("/dashboard/messages")
        assert SEND not in page.text
        assert (await viewer.get(SEND)).status == 403
        for path in (SEND, f"{SEND}/shape"):
            assert (await viewer.submit(page, path, to="+33612345678", text="x", step="send")).status == 403
    async with visiting(here) as owner:
        page = await owner.get(f"{SEND}?to=%2B33612345678&text=hi")
        assert "No phone yet" in page.text
        assert "/dashboard/phones" in Markup(page.text).values("a", "href")
        await here.caller()
        filled = await owner.get(f"{SEND}?to=%2B33612345678&text=%3Cb%3Ehi")
        assert "<b>hi" in Markup(filled.text).text
        assert "+33612345678" in Markup(filled.text).text
