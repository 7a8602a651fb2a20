"""The list of messages and the page of each: found by what people type, told in words, acted upon by who may."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from tests.support.browser import Browser, Page
from tests.support.dispatching import Stores, submit_sms
from tests.support.markup import Markup
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.visiting import followed, set_account, visiting
from tests.support.waiting import until

LIST = "/dashboard/messages"
HOSTILE = "<script>alert('x')</script>\u202e<b onclick=x>\x07 \U0001f600" + "y" * 10_000


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


def rows(page: Page) -> list[str]:
    """The ids in the list, from the top."""
    return [row["data-row"] for row in Markup(page.text).of("tr") if "data-row" in row]


async def finds(browser: Browser, query: str, *guids: str) -> None:
    """Waits until the list shows exactly these."""

    async def so() -> bool:
        return rows(await browser.get(f"{LIST}?{query}")) == list(guids)

    await until(so, f"{query} finds {guids}")


def buttons(page: Page) -> set[str]:
    """What the page's forms would do to the message."""
    actions = Markup(page.text).values("form", "action")
    return {action.rpartition("/")[2] for action in actions if action.startswith(LIST + "/")}


async def test_messages_are_found_by_what_people_type(here: World) -> None:
    phone = await here.caller()
    await set_account(here, region="FR", time_zone="Asia/Tokyo")
    first = await here.send("Your code is 4711", to="+33612345678")
    await here.ready(first)
    (job,) = await phone.pull()
    await phone.say(job["id"], "Sent")
    second = await here.send(HOSTILE, to="+15557654321")
    await here.ready(second)
    row = await here.pool.fetchrow("select accepted_at from messages where id = $1", bytes.fromhex(second))
    assert row is not None
    minute = (row["accepted_at"] + timedelta(hours=9)).replace(second=0, microsecond=0, tzinfo=None)

    async with visiting(here, "viewer") as browser, visiting(here, "owner", "fr") as french:
        await finds(browser, "", second, first)
        for query, found in {
            "q=06%2012%2034%2056%2078": [first],
            "q=345678": [first],
            f"q={second.upper()}": [second],
            "q=CODE%20is": [first],
            "q=%224711%22": [first],
            "q=4711": [],
            "q=%25_%25": [],
            "state=queued": [second],
            "state=sent": [first],
            "state=failed": [],
            f"phone={phone.device}": [first],
            f"since={datetime.isoformat(minute)}&until={datetime.isoformat(minute + timedelta(minutes=2))}&q=script": [
                second
            ],
            f"until={datetime.isoformat(minute - timedelta(hours=1))}": [],
        }.items():
            await finds(browser, query, *found)
        for browsing, none, short in ((browser, "No message matches", "at least 3 letters"),
                                      (french, "Aucun message ne correspond", "au moins 3 lettres")):  # fmt: skip
            page = await browsing.get(LIST)
            assert page.status == 200
            Markup(page.text).assert_harmless()
            assert "<script>alert('x')</script>[U+202E]<b onclick=x>␇" in Markup(page.text).text
            assert len(page.text) < 40_000
            assert none in (await browsing.get(f"{LIST}?state=failed")).text
            wrong = await browsing.get(f"{LIST}?q=ab")
            assert (wrong.status, rows(wrong)) == (400, [])
            assert short in Markup(re.findall(r'<p id="q-hint" class="error">(.*?)</p>', wrong.text)[0]).text
        for query in ("state=x", "phone=%00", "since=soon", f"q={'9' * 300}", "q=%22a%22"):
            assert (await browser.get(f"{LIST}?{query}")).status == 400, query


async def test_pages_go_on_where_the_one_before_ended(here: World) -> None:
    stores = Stores(here.pool)
    account = here.account.account
    commands = [submit_sms(f"+1555000{n:04}", text=f"text {n}", account=account) for n in range(120)]
    for n, command in enumerate(commands):
        ids = [
            bytes([*(int(command.accepted_at * 1000) + n).to_bytes(6, "big")]) + each.id[6:]
            for each in command.recipients
        ]
        command.recipients[0] = type(command.recipients[0])(ids[0], command.recipients[0].number)
    await stores.messages.submit(commands)
    wanted = [command.recipients[0].id.hex() for command in reversed(commands)]
    async with visiting(here, "viewer") as browser:
        seen: list[str] = []
        page = await browser.get(LIST)
        firsts = []
        while True:
            seen += rows(page)
            firsts.append(rows(page))
            older = [a["href"] for a in Markup(page.text).of("a") if a.get("rel") == "next"]
            if not older:
                break
            page = await browser.get(older[0])
        assert seen == wanted
        (newer,) = [a["href"] for a in Markup(page.text).of("a") if a.get("rel") == "prev"]
        assert rows(await browser.get(newer)) == firsts[-2]


async def test_a_failure_is_told_in_words_and_sent_again(here: World) -> None:
    phone = await here.caller()
    guid = await here.send(HOSTILE, to="+33612345678")
    await here.ready(guid)
    (job,) = await phone.pull()
    async with visiting(here, "member") as browser, visiting(here, "viewer", "fr") as french:
        page = await browser.get(f"{LIST}/{guid}")
        assert "a phone is sending it and has not reported yet" in Markup(page.text).text
        assert buttons(page) == {"cancel", "delete"}
        early = await browser.submit(page, f"{LIST}/{guid}/resend")
        assert (early.status, "Only a message that failed" in early.text) == (409, True)
        await phone.say(job["id"], "Failed", "Send result: RESULT_ERROR_FDN_CHECK_FAILURE")
        await here.becomes(guid, "failed")
        page = await browser.get(f"{LIST}/{guid.upper()}")
        shown = Markup(page.text)
        shown.assert_harmless()
        assert [words in shown.text for words in ("Taken by a phone", "does not accept this number", "y" * 10_000)] == [
            True
        ] * 3
        assert buttons(page) == {"resend", "delete"}
        late = await browser.submit(page, f"{LIST}/{guid}/cancel")
        assert late.status == 409
        assert "It is too late" in Markup(late.text).text, re.findall(r'role="alert">(.*?)</div>', late.text)
        told = await french.get(f"{LIST}/{guid}")
        assert "Le téléphone refuse ce numéro." in Markup(told.text).text
        assert buttons(told) == set()
        for action in ("resend", "cancel", "delete"):
            assert (await french.submit(told, f"{LIST}/{guid}/{action}")).status == 403
        again = await followed(browser, await browser.submit(page, f"{LIST}/{guid}/resend"))
        assert "waiting to be sent again" in again.text
        assert "Someone sent it again." in again.text


async def test_an_app_phone_is_asked_and_what_nobody_knows_needs_force(here: World) -> None:
    phone = await here.caller()
    guid = await here.send("hello", to="+33612345678")
    await here.ready(guid)
    await phone.pull()
    async with visiting(here) as browser:
        page = await browser.get(f"{LIST}/{guid}")
        wished = await followed(browser, await browser.submit(page, f"{LIST}/{guid}/cancel"))
        assert "The phone was asked not to send the message." in wished.text
        await here.pool.execute(
            "update work set cancel_wished_at = null, valid_until = now(), taken_at = now() - interval '1 hour'"
        )
        await here.becomes(guid, "unknown")
        page = await browser.get(f"{LIST}/{guid}")
        assert "it may arrive twice" in page.text
        assert "has not been heard from since" in page.text
        assert (await browser.submit(page, f"{LIST}/{guid}/resend")).status == 409
        assert (await browser.submit(page, f"{LIST}/{guid}/resend", force="yes")).status == 303


async def test_a_waiting_message_is_canceled_deleted_and_gone(here: World) -> None:
    await here.caller()
    guid = await here.send("hello", to="+33612345678")
    other = await here.send("later", to="+33612345678")
    async with visiting(here) as browser:

        async def waits() -> bool:
            return "Why it is waiting:" in (await browser.get(f"{LIST}/{guid}")).text

        await until(waits, "the page says why it waits")
        page = await browser.get(f"{LIST}/{guid}")
        canceled = await followed(browser, await browser.submit(page, f"{LIST}/{guid}/cancel"))
        assert "Canceled before any phone started sending it." in canceled.text
        gone = await followed(browser, await browser.submit(page, f"{LIST}/{guid}/delete"))
        assert rows(gone) == [other]
        assert (await browser.get(f"{LIST}/{guid}")).status == 404
        await here.begin()
        async with visiting(here) as stranger:
            mine = await stranger.get(LIST)
            assert "No messages yet" in mine.text
            for unknown in (other, "0" * 40, "x", f"{other}0", "export.csvx"):
                assert (await stranger.get(f"{LIST}/{unknown}")).status == 404, unknown
                for action in ("cancel", "resend", "delete"):
                    assert (await stranger.submit(mine, f"{LIST}/{unknown}/{action}")).status == 404, unknown
