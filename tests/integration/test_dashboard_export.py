"""The export: all that a search finds, harmless to spreadsheets, and never a part that looks like the whole."""

import asyncio
import contextlib
import csv
import io
import re
import socket
from collections.abc import AsyncIterator

import pytest

from services.gateway.dashboard.messages.export import MAX_OF_ACCOUNT
from services.gateway.dashboard.messages.sheets import COLUMNS
from services.gateway.dashboard.store.messages import EXPORTED_AT_ONCE
from tests.support import http
from tests.support.auths import give_back, take_away
from tests.support.browser import Browser
from tests.support.dispatching import Stores, submit_sms
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.visiting import set_account, visiting
from tests.support.waiting import until

EXPORT = "/dashboard/messages/export.csv"
LARGE = 8_000
"""Characters of a text of which one batch is more than the buffers of a connection hold."""


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


def read(text: str) -> list[dict[str, str]]:
    """The rows of a file, which must be whole lines with CR LF at their ends."""
    assert text.endswith("\r\n")
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert tuple(lines[0]) == COLUMNS
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines[1:]]


async def fill(here: World, count: int, text: str) -> None:
    """So many messages in the log."""
    numbers = [f"+1555{n:07}" for n in range(count)]
    await Stores(here.pool).messages.submit([submit_sms(*numbers, text=text, account=here.account.account)])


@contextlib.asynccontextmanager
async def stalled(browser: Browser) -> AsyncIterator[asyncio.StreamReader]:
    """A download whose browser has read the head and nothing else."""
    host, port = browser.url.removeprefix("http://").split(":")
    mine = socket.socket()
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    mine.setblocking(False)
    await asyncio.get_running_loop().sock_connect(mine, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=mine, limit=http.LONGEST_HEAD)
    try:
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        head = f"GET {EXPORT} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(10):
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        yield reader
    finally:
        writer.transport.abort()


async def test_a_file_says_what_the_list_says_and_calculates_nothing(here: World) -> None:
    phone = await here.caller()
    await set_account(here, time_zone="Asia/Kathmandu")
    texts = ['=HYPERLINK("http://evil","x")', "+1", "-1", "@SUM(1)", "\t=1", 'a,"b"\nc', "né 😀\u202e", "'=kept"]
    guids = [await here.send(text, to=f"+3361234567{n}") for n, text in enumerate(texts)]
    await here.ready(*guids)
    async with visiting(here, "viewer") as browser:

        async def known() -> bool:
            return (await browser.get(f"{EXPORT}?state=queued")).text.count(",queued,") == len(texts)

        await until(known, "the search knows them")
        page = await browser.get(EXPORT)
        assert page.headers["content-type"] == "text/csv; charset=utf-8"
        assert re.fullmatch(
            r'attachment; filename="messages-\d{4}-\d\d-\d\d\.csv"', page.headers["content-disposition"]
        )
        assert page.text.startswith("\ufeff")
        rows = read(page.text.removeprefix("\ufeff"))
        assert [row["id"] for row in rows] == guids[::-1]
        assert [row["text"] for row in rows[::-1]] == ["'" + text if text[0] in "=+-@\t" else text for text in texts]
        assert rows[0]["recipient"] == "'+33612345677"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+05:45", rows[0]["accepted_at"])
        assert (rows[0]["state"], rows[0]["delivered_at"]) == ("queued", "")
        assert read((await browser.get(f"{EXPORT}?phone={phone.device}")).text.removeprefix("\ufeff")) == []
        wrong = await browser.get(f"{EXPORT}?q=ab")
        assert (wrong.status, wrong.location) == (303, "/dashboard/messages?q=ab")
    await here.begin()
    async with visiting(here) as stranger:
        assert read((await stranger.get(EXPORT)).text.removeprefix("\ufeff")) == []


async def test_many_messages_come_whole(here: World) -> None:
    await fill(here, 1000, "hello")
    await fill(here, 203, "hello")
    async with visiting(here) as browser:
        rows = read((await browser.get(EXPORT)).text.removeprefix("\ufeff"))
        assert len({row["id"] for row in rows}) == len(rows) == 1203


async def test_a_file_that_cannot_be_completed_does_not_look_whole(here: World, servers: Servers) -> None:
    await fill(here, 2 * EXPORTED_AT_ONCE + 50, "x" * LARGE)
    async with visiting(here) as browser, stalled(browser) as reader:
        url = here.settings.database_url
        await take_away(servers.database_url, url)
        try:
            async with asyncio.timeout(20):
                body = await reader.read()
            assert len(body) > LARGE
            assert not body.endswith(b"0\r\n\r\n"), "the last chunk says that the file is whole"
            assert (await browser.get(EXPORT)).status == 503
        finally:
            await give_back(servers.database_url, url)
        assert (await http.ask(here.url, "GET", "/health/live")).status == 200


async def test_few_run_at_once_and_who_hangs_up_makes_room(here: World) -> None:
    await fill(here, EXPORTED_AT_ONCE, "x" * LARGE)
    async with visiting(here) as browser:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(MAX_OF_ACCOUNT):
                await stack.enter_async_context(stalled(browser))
            refused = await browser.get(EXPORT)
            assert (refused.status, refused.headers["retry-after"]) == (429, "30")

        async def room() -> bool:
            with contextlib.suppress(AssertionError):
                async with stalled(browser):
                    return True
            return False

        await until(room, "there is room again")
