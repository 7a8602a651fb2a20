"""Received texts on real Postgres: each once, in the order in which they came, whoever else stores them."""

import asyncio
import hashlib
import time

from services.dispatcher.store.inbox import Inbox
from shared.contracts.reports import TextReceived
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT

NOW = float(int(time.time()))
WORDS = [f"part {nth} of a long story" for nth in range(40)]


def received(text: str, at: float = NOW, device: str = "phone") -> TextReceived:
    return TextReceived(
        account=ACCOUNT,
        device=device,
        sim=1,
        number="+15551230001",
        text=text,
        at=at,
        utc_offset_min=0,
        fingerprint=hashlib.sha256(text.encode()).digest(),
    )


async def texts(pool: Pool, device: str = "phone") -> list[str]:
    rows = await pool.fetch("select text from inbox where device_id = $1 order by id", device)
    return [row["text"] for row in rows]


async def test_texts_of_one_moment_keep_the_order_in_which_they_came(pool: Pool) -> None:
    inbox = Inbox(pool)
    assert await inbox.add([received(text) for text in WORDS]) == len(WORDS)
    assert await texts(pool) == WORDS
    told = await pool.fetch("select inbox_id from outbox order by id")
    assert [row["inbox_id"] for row in told] == sorted(row["inbox_id"] for row in told)
    assert await inbox.add([received(text) for text in (*reversed(WORDS), "the end")]) == 1
    assert await texts(pool) == [*WORDS, "the end"]


async def test_a_backlog_told_in_any_order_is_put_into_that_of_its_times(pool: Pool) -> None:
    backlog = [received(text, NOW - 3600 + nth) for nth, text in enumerate(WORDS)]
    await Inbox(pool).add(backlog[::-1])
    assert await texts(pool) == WORDS


async def test_replicas_that_store_the_same_texts_never_deadlock(pool: Pool) -> None:
    for nth in range(10):
        device = f"phone {nth}"
        told = [received(text, device=device) for text in WORDS]
        counts = await asyncio.gather(*(Inbox(pool).add(each) for each in (told, told[::-1], told, told[::-1])))
        assert sum(counts) == len(WORDS)
        assert sorted(await texts(pool, device)) == sorted(WORDS)
