"""Conversations and the overview: what was sent and received together, at a fixed number of statements."""

import collections
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import asyncpg
import pytest

from services.dispatcher.store.inbox import Inbox
from services.dispatcher.store.stories import Stories
from services.gateway.dashboard.store.filters import Filter, Number
from services.gateway.dashboard.store.messages import Messages
from services.gateway.dashboard.store.overview import Overview
from services.gateway.dashboard.store.threads import Moment, Received, Threads
from shared.contracts.reports import TextReceived
from shared.db.pool import Pool
from shared.errors import Unavailable
from tests.support.dispatching import ACCOUNT, Stores, submit_sms
from tests.support.searching import a_phone, level, sent_by

HOSTILE = "<b>\u202eevil</b> 'quoted' %_\\ 💥"


def received(number: str, text: str, account: int = ACCOUNT) -> TextReceived:
    return TextReceived(
        account=account,
        device=f"{account:021}",
        sim=1,
        number=number,
        text=text,
        at=time.time(),
        utc_offset_min=0,
        fingerprint=f"{number} {text}".encode(),
    )


async def said(threads: Threads, number: str, limit: int) -> list[str]:
    """All texts of a conversation by its pages, newest first."""
    texts: list[str] = []
    before: Moment | None = None
    while True:
        talk = await threads.show(ACCOUNT, number, before, limit=limit)
        texts += [each.text if isinstance(each, Received) else each.sent.text for each in talk.said]
        if (before := talk.older) is None:
            return texts


async def test_a_conversation_has_both_kinds_in_order(pool: Pool) -> None:
    stores, inbox = await Stores.on(pool), Inbox(pool)
    threads = Threads(pool, Messages(pool))
    expected = []
    for nth in range(12):
        if nth % 3:
            await stores.messages.submit([submit_sms("+15551230001", text=f"to {nth}")])
            expected.append(f"to {nth}")
        else:
            await inbox.add([received("+15551230001", f"from {nth} {HOSTILE}")])
            expected.append(f"from {nth} {HOSTILE}")
    await inbox.add([received("+15551230001", "another account's", ACCOUNT + 1)])
    await stores.messages.submit([submit_sms("+15551230001", text="another account's", account=ACCOUNT + 1)])
    await level(pool)
    for limit in (1, 5, 12, 50):
        assert await said(threads, "+15551230001", limit) == expected[::-1]
    assert (await threads.show(ACCOUNT, "+1")).said == []


async def test_conversations_come_newest_first_with_their_last_text(pool: Pool) -> None:
    stores, inbox = await Stores.on(pool), Inbox(pool)
    threads = Threads(pool, Messages(pool))
    for nth in range(5):
        for text in ("first", HOSTILE):
            await inbox.add([received(f"+1555000000{nth}", text)])
    device, session = await a_phone(stores)
    await sent_by(stores, device, session, ["delivered"], ["answer"], ["+15550000001"])
    await level(pool)
    page = await threads.list(ACCOUNT, limit=50)
    assert [thread.number[-1] for thread in page.threads] == ["1", "4", "3", "2", "0"]
    assert page.older is None
    assert page.threads[0][2:] == ("answer", "delivered", 2)
    assert page.threads[1][2:] == (HOSTILE, None, 2)
    numbers, before = [], None
    while True:
        page = await threads.list(ACCOUNT, before, limit=2)
        numbers += [thread.number[-1] for thread in page.threads]
        if (before := page.older) is None:
            break
    assert numbers == ["1", "4", "3", "2", "0"]
    newest = await pool.fetchval("select max(id) from inbox")
    await inbox.mark_seen(ACCOUNT, "+15550000004", newest - 1)
    assert [thread.unread for thread in (await threads.list(ACCOUNT)).threads] == [2, 1, 2, 2, 2]


async def test_what_is_deleted_leaves_its_conversation_at_once(pool: Pool) -> None:
    stores, inbox, stories = await Stores.on(pool), Inbox(pool), Stories(pool)
    threads = Threads(pool, Messages(pool))
    command = submit_sms("+15551230001", text="regretted")
    await inbox.add([received("+15551230001", "question")])
    await stores.messages.submit([command, submit_sms("+15551230002")])
    await level(pool)
    assert await stories.delete_sent(ACCOUNT, command.recipients[0].id) == 1
    (other, regretted) = sorted((await threads.list(ACCOUNT)).threads, key=lambda thread: thread.text)
    assert (other.text, regretted.text, regretted.state) == ("hello", "question", None)
    assert await said(threads, "+15551230001", 10) == ["question"]
    await stories.delete_between(ACCOUNT, 0, time.time() + 60)
    assert (await threads.list(ACCOUNT)).threads == []
    await level(pool)
    assert await pool.fetchval("select count(*) from search_texts") == 0, "its text is nowhere but in the log"


async def test_the_overview_counts_by_hour_and_tells_what_waits(pool: Pool) -> None:
    stores, overview = await Stores.on(pool), Overview(pool)
    empty = await overview.read(ACCOUNT)
    assert len(empty.hours) == 24
    assert (sum(hour.accepted for hour in empty.hours), empty.waiting, empty.longest_wait_s) == (0, 0, None)
    device, session = await a_phone(stores)
    await sent_by(stores, device, session, ["delivered", "sent", "sent", "failed"], ["x"] * 4, ["+15551230001"] * 4)
    await stores.messages.submit([submit_sms("+15551230001") for _ in range(5)])
    await stores.messages.submit([submit_sms("+15551230001", scheduled_at=time.time() + 3600)])
    await stores.messages.submit([submit_sms("+15551230001", account=ACCOUNT + 1)])
    await pool.execute("update work set due = now() - interval '90 seconds' where state = 'ready'")
    await level(pool)
    picture = await overview.read(ACCOUNT)
    totals = [
        sum(counts)
        for counts in zip(*((h.accepted, h.sent, h.delivered, h.failed) for h in picture.hours), strict=True)
    ]
    assert totals == [10, 3, 1, 1]
    assert picture.waiting == 5
    assert picture.longest_wait_s is not None
    assert 90 <= picture.longest_wait_s < 120
    states = sum((collections.Counter(hour.states) for hour in picture.hours), collections.Counter[str]())
    assert states == {"delivered": 1, "sent": 2, "failed": 1, "queued": 5, "scheduled": 1}


@pytest.fixture
async def counting(database: str) -> AsyncIterator[tuple[Pool, list[str]]]:
    """A pool that writes down every statement."""
    statements: list[str] = []

    async def listen(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda query: statements.append(query.query))

    async def keep(_: asyncpg.Connection) -> None:
        """As the services' pools do."""

    pool = await asyncpg.create_pool(database, min_size=1, max_size=1, init=listen, reset=keep, timeout=10)
    yield pool, statements
    await pool.close()


class Readers(NamedTuple):
    """All that reads."""

    messages: Messages
    threads: Threads
    overview: Overview

    @classmethod
    def on(cls, pool: Pool) -> "Readers":
        return cls(Messages(pool), Threads(pool, Messages(pool)), Overview(pool))


READS: dict[str, tuple[int, Callable[[Readers], Awaitable[object]]]] = {
    "list": (1, lambda at: at.messages.find(ACCOUNT, Filter())),
    "state": (1, lambda at: at.messages.find(ACCOUNT, Filter(state="queued"))),
    "text": (3, lambda at: at.messages.find(ACCOUNT, Filter(text="number 7"))),
    "everything": (3, lambda at: at.messages.find(ACCOUNT, Filter(None, Number(None, "1555"), "sent", text="hello"))),
    "threads": (1, lambda at: at.threads.list(ACCOUNT)),
    "thread": (4, lambda at: at.threads.show(ACCOUNT, "+15551230001")),
    "overview": (2, lambda at: at.overview.read(ACCOUNT)),
}


async def test_no_read_makes_more_statements_than_it_says(pool: Pool, counting: tuple[Pool, list[str]]) -> None:
    counted, statements = counting
    stores = await Stores.on(pool)
    readers = Readers.on(counted)
    for rows in (3, 300):
        commands = [submit_sms(f"+15551{n:06}", text=f"hello number {n}") for n in range(rows)]
        await stores.messages.submit(commands)
        await Inbox(pool).add([received(f"+15551{n:06}", f"{rows} {n}") for n in range(rows)])
        await level(pool)
        for name, (most, read) in READS.items():
            statements.clear()
            await read(readers)
            assert 1 <= len(statements) <= most, f"{name}: {statements}"


async def test_without_a_database_every_read_says_so() -> None:
    nowhere = asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0, timeout=2)
    await nowhere
    for _, read in READS.values():
        with pytest.raises(Unavailable):
            await read(Readers.on(nowhere))


async def test_a_search_that_takes_too_long_gives_way_to_walking(pool: Pool, database: str) -> None:
    stores, messages = await Stores.on(pool), Messages(pool)
    await stores.messages.submit([submit_sms("+15551230001", text="filler") for _ in range(300)])
    await level(pool)
    blocker = await asyncpg.connect(database, timeout=10)
    async with blocker.transaction():
        await blocker.execute("lock table search_texts in access exclusive mode")
        found = await messages.find(ACCOUNT, Filter(text="nothing has this"))
    await blocker.close()
    assert (found.rows, found.partial) == ([], False)
