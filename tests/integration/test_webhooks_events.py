"""A reader of events sees each one once and rendered, whatever order their writers commit in."""

import asyncio
import json
import random
import uuid
from typing import cast

import pytest

from services.webhooks.pages import Pages
from services.webhooks.store.events import Cursor, Events
from shared.contracts.events import Event
from shared.contracts.rpc.deliveries import PageEvents
from shared.db.pool import Connection, Pool
from shared.errors import Invalid
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.dispatching import Stores, submit_sms
from tests.support.webhooks import World

WRITERS = 8
EACH = 60


def event(number: int) -> Event:
    return Event(
        id=str(uuid.uuid4()), account=7, type="sms.sent", occurred_at=1_800_000_000.0, message=b"m" * 20, number=number
    )


class OnConnection:
    """A pool of one connection, so that a store writes inside a transaction that the test ends when it likes."""

    def __init__(self, connection: Connection) -> None:
        self.execute = connection.execute


async def test_eight_writers_that_commit_out_of_order_hide_nothing_from_a_reader(pool: Pool) -> None:
    chance = random.Random(8)
    reader = Events(pool)
    written: set[uuid.UUID] = set()
    writing = WRITERS

    async def write() -> None:
        nonlocal writing
        for _ in range(EACH):
            async with pool.acquire() as connection, connection.transaction():
                events = [event(chance.randrange(100)) for _ in range(chance.randint(1, 4))]
                await Events(cast(Pool, OnConnection(connection))).keep(events)
                await connection.execute("select pg_sleep($1)", chance.random() * 0.01)
                written.update(uuid.UUID(each.id) for each in events)
        writing -= 1

    async def read() -> list[uuid.UUID]:
        seen: list[uuid.UUID] = []
        cursor = Cursor()
        while True:
            last = not writing
            page = await reader.page(7, cursor, 50)
            seen += [each for _, each in page]
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
    assert await reader.page(8, Cursor(), 50) == []


async def test_an_event_is_kept_once_and_forgotten_by_age(pool: Pool) -> None:
    events = Events(pool)
    told = event(1)
    await events.keep([told, told, event(2)])
    await events.keep([told])
    assert len(await events.page(7, Cursor(), 10)) == 2
    assert await events.forget(30) == 0
    await pool.execute("update events set stored_at = now() - interval '31 days'")
    assert await events.forget(30) == 2


async def test_pages_hold_bodies_and_lead_on(pool: Pool) -> None:
    world = World(pool, Vault(SECRET))
    account, other = await world.account(), await world.account("other")
    events, pages = Events(pool), Pages(Events(pool))
    texts = [await world.text(account, str(number)) for number in range(5)]
    await events.keep([*texts, await world.text(other, "theirs")])
    await pool.execute("update inbox set deleted_at = now() where text = '3'")
    seen, after, sizes = [], None, []
    while True:
        page = await pages.page(PageEvents(account=account, after=after, limit=2))
        seen += [json.loads(body)["data"]["message"] for body in page.bodies]
        sizes.append(len(page.bodies))
        after = page.next
        if not page.more:
            break
    assert seen == ["0", "1", "2", "4"], "a deleted text is left out"
    assert sizes == [2, 1, 1]
    assert (await pages.page(PageEvents(account=account, after=after))).next == after
    none = await pages.page(PageEvents(account=account, types=["sms.sent"]))
    assert (none.bodies, none.more) == ([], False)
    for wrong in ({"after": "x"}, {"limit": 0}, {"limit": 501}, {"types": ["sms.unheard"]}):
        with pytest.raises(Invalid):
            await pages.page(PageEvents(account=account, **wrong))


async def test_a_message_s_event_carries_its_text_and_its_attempt(pool: Pool) -> None:
    stores = await Stores.on(pool)
    command = submit_sms("+15551112222", text="to you", account=7)
    await stores.messages.submit([command])
    message = command.recipients[0].id
    await pool.execute(
        """
        insert into attempts (message_id, number, account_id, device_id, sim, session, journal, state, reason, taken_at)
        values ($1, 1, 7, 'phone', 2, 1, 'j', 'failed', 'no_service', now())
        """,
        message,
    )
    failed = Event(id=str(uuid.uuid4()), account=7, type="sms.failed", occurred_at=1e9, message=message, number=16 + 5)
    events = Events(pool)
    await events.keep([failed])
    (told,) = await events.told([uuid.UUID(failed.id)])
    assert (told.number, told.device, told.sim) == ("+15551112222", None, None)
    page = await Pages(events).page(PageEvents(account=7))
    data = json.loads(page.bodies[0])["data"]
    assert (data["guid"], data["message"], data["to"]) == (message.hex(), "to you", "+15551112222")
    assert (data["device_id"], data["sim"], data["error"]) == ("phone", 2, "no_service")
