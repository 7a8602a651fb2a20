"""Every page of an account with thousands of phones: there at once, from small answers, with a way to each phone."""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.gateway.dashboard.frame.languages import load
from services.gateway.dashboard.messages.phonebook import MAX_OPTIONS
from services.gateway.dashboard.phones.phones import PAGE
from tests.support.browser import Browser, Page
from tests.support.crowd import crowd, in_order, name_of
from tests.support.fleet import assert_harmless
from tests.support.markup import Markup
from tests.support.operator import operator
from tests.support.plenty import NUMBER, Things, add
from tests.support.servers import Servers
from tests.support.visiting import visiting
from tests.support.whole import HOME, Whole, templates, whole

MANY = 5_000
LONGEST_S = 2.0
MOST_BYTES = 256 * 1024
PHONES = f"{HOME}/phones"
LAST = name_of(MANY - 1)


@pytest.fixture(scope="module")
async def here(servers: Servers) -> AsyncIterator[Whole]:
    async with whole(servers) as running:
        await crowd(running.pool, running.account.account, MANY)
        yield running


@pytest.fixture
async def phones(here: Whole) -> list[str]:
    """All of them, in order of enrolment."""
    return (await in_order(here.pool, here.account.account))[:MANY]


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The largest answer to each question, in bytes."""
    largest: dict[str, int] = {}
    ask = Client.request

    async def asking(self: Client, subject: str, *more: Any, **named: Any) -> Msg:
        answer = await ask(self, subject, *more, **named)
        largest[subject] = max(largest.get(subject, 0), len(answer.data))
        return answer

    monkeypatch.setattr(Client, "request", asking)
    return largest


def rows(page: Page) -> list[str]:
    return Markup(page.text).values("section", "data-row")


def way(page: Page, relation: str) -> str:
    (found,) = [link["href"] for link in Markup(page.text).of("a") if link.get("rel") == relation]
    return found


def offered(page: Page, field: str) -> tuple[list[str], list[str]]:
    """What a select offers, and what is chosen in it."""
    inside = page.text.partition(f'<select id="{field}"')[2].partition("</select>")[0]
    options = list(Markup(inside).of("option"))
    return [each["value"] for each in options], [each["value"] for each in options if "selected" in each]


async def quick(browser: Browser, path: str) -> Page:
    began = time.monotonic()
    page = await browser.get(path)
    assert time.monotonic() - began < LONGEST_S, path
    assert page.status in (200, 303), (path, page.text)
    return page


async def text_of(here: Whole, things: Things, device: str) -> None:
    """The message that is looked at was sent by this phone."""
    await here.pool.execute(
        "update messages set device_id = $2, state = 'sent', sent_at = now() where id = $1",
        bytes.fromhex(things.guid),
        device,
    )


async def test_every_page_is_there_at_once(here: Whole, phones: list[str], sizes: dict[str, int]) -> None:
    things = await add(here, 2)
    await text_of(here, things, phones[-1])
    async with visiting(here, language="fr") as browser:
        for template, _ in templates(here.app, "GET"):
            if template != f"{HOME}/live":
                query = f"?with=%2B{NUMBER.removeprefix('+')}" if template.endswith("/thread") else ""
                await quick(browser, things.path(template) + query)
        for path in (f"{HOME}/messages", f"{HOME}/messages/{things.guid}", f"{HOME}/messages/export.csv"):
            assert LAST in (await quick(browser, path)).text
        overview = Markup((await quick(browser, HOME)).text)
        assert re.search("10[0-9] / 5.00[0-9]", overview.text)
        assert re.search("phone 00[0-9]{2} n", overview.text), "a flagged phone is named"
    assert {"rpc.dispatcher.device_list", "rpc.dispatcher.device_names", "rpc.dispatcher.attention"} <= sizes.keys()
    assert max(sizes.values()) < MOST_BYTES, sizes


async def test_phones_are_paged_both_ways(here: Whole, phones: list[str]) -> None:
    words = load()["en"]
    async with visiting(here, "member") as browser:
        first = await quick(browser, PHONES)
        assert rows(first) == phones[:PAGE]
        assert 'rel="prev"' not in first.text
        assert re.search("10[0-9] of 5.00[0-9] online", first.text)
        second = await quick(browser, way(first, "next"))
        assert_harmless(second.text)
        assert rows(second) == phones[PAGE : 2 * PAGE]
        back = await quick(browser, way(second, "prev"))
        assert rows(back) == phones[:PAGE]
        over = await quick(browser, f"{PHONES}?after={'n' * 21}")
        assert rows(over) == []
        assert words("phones.end.title") in over.text
        for nonsense in ("%00", "x", "'" * 21):
            assert rows(await quick(browser, f"{PHONES}?after={nonsense}")) == phones[:PAGE]


async def test_any_phone_can_be_chosen(here: Whole, phones: list[str]) -> None:
    words = load()["en"]
    async with visiting(here, "owner") as browser:
        page = await quick(browser, f"{PHONES}/{phones[-1]}")
        links = Markup(page.text).values("a", "href")
        by, its = f"{HOME}/send?by={phones[-1]}", f"{HOME}/messages?phone={phones[-1]}"
        assert {by, its} <= set(links)
        form = await quick(browser, by)
        values, chosen = offered(form, "by")
        assert (len(values), chosen) == (MAX_OPTIONS + 1, [phones[-1]])
        assert words("send.by.more") in form.text
        check = await browser.submit(form, f"{HOME}/send", to="+15550001111", text="x", by=phones[-1], step="check")
        assert LAST in check.text
        found = await quick(browser, its)
        values, chosen = offered(found, "phone")
        assert (len(values), chosen) == (MAX_OPTIONS + 1, [phones[-1]])
        assert words("messages.more_phones") in found.text
        hook = await quick(browser, f"{HOME}/webhooks/new")
        assert (
            len([name for name in Markup(hook.text).values("input", "name") if name.startswith("device:")])
            == MAX_OPTIONS
        )
        fields = {"url": "nonsense", f"device:{phones[-1]}": "on", "format": "v2"}
        again = await browser.submit(hook, f"{HOME}/webhooks/new", **fields)
        assert again.status == 400
        (kept,) = [each for each in Markup(again.text).of("input") if each.get("name") == f"device:{phones[-1]}"]
        assert "checked" in kept
        assert LAST in again.text


async def test_the_command_lists_all(
    here: Whole,
    phones: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = await here.pool.fetchval("select name from accounts where id = $1", here.account.account)
    code, told = await operator(here.settings, monkeypatch, tmp_path, capsys)("phone", "list", "--account", name)
    assert code == 0
    assert [device["id"] for device in told["devices"]][:MANY] == phones
    assert len({(budget["device"], budget["slot"]) for budget in told["budgets"]}) == len(told["budgets"]) >= 2 * MANY
    assert len(told["apps"]) == MANY
