"""A reader of events by cursor sees each one once, whatever order their writers commit in."""

import asyncio
import random
import uuid

from services.webhooks.store import Cursor, Store
from shared.contracts.events import Event
from shared.db.pool import Pool

WRITERS = 8
EACH = 60


def event(number: int) -> Event:
    return Event(
        id=str(uuid.uuid4()), account=7, type="sms.sent", occurred_at=1_800_000_000.0, message=b"m" * 20, number=number
    )


class OnConnection:
    """A pool of one connection, so that a store writes inside a transaction that the test ends when it likes."""

    def __init__(self, connection: object) -> None:
        self.execute = connection.execute  # type: ignore[attr-defined]


async def test_eight_writers_that_commit_out_of_order_hide_nothing_from_a_reader(pool: Pool) -> None:
    chance = random.Random(8)
    reader, written = Store(pool), set()
    writing = WRITERS

    async def write() -> None:
        nonlocal writing
        for _ in range(EACH):
            async with pool.acquire() as connection, connection.transaction():
                events = [event(chance.randrange(100)) for _ in range(chance.randint(1, 4))]
                await Store(OnConnection(connection)).keep(events)  # type: ignore[arg-type]
                await connection.execute("select pg_sleep($1)", chance.random() * 0.01)
                written.update(each.id for each in events)
        writing -= 1

    async def read() -> list[str]:
        seen: list[str] = []
        cursor = Cursor()
        while True:
            last = not writing
            page = await reader.events_after(7, cursor, 50)
            seen += [each.id for _, each in page]
            if page:
                cursor = page[-1][0]
            elif last:
                return seen

    reading = asyncio.create_task(read())
    async with asyncio.timeout(60):
        await asyncio.gather(*(write() for _ in range(WRITERS)))
        seen = await reading
    assert len(seen) == len(set(seen)) == len(written)
    assert set(seen) == written
    assert await reader.events_after(8, Cursor(), 50) == []


async def test_an_event_is_kept_once_and_forgotten_by_age(pool: Pool) -> None:
    store = Store(pool)
    told = event(1)
    await store.keep([told, told, event(2)])
    await store.keep([told])
    assert len(await store.events_after(7, Cursor(), 10)) == 2
    assert await store.forget_events(30) == 0
    await pool.execute("update events set stored_at = now() - interval '31 days'")
    assert await store.forget_events(30) == 2
