"""Phones that come and go together cost one look at the fleet a tick, however many they are."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from nats.aio.client import Client

from services.dispatcher import leasing
from services.dispatcher.fleet import Fleet
from services.dispatcher.leasing import LOOK_GAP_S, Leasing
from services.dispatcher.routing import OnlinePhone, QueueKey
from services.dispatcher.store.roster import Roster
from services.dispatcher.wakes import Wakes
from shared.contracts.rpc.phones import CloseSession
from shared.db.pool import Pool
from shared.runtime.clock import system_clock
from tests.support.dispatching import ACCOUNT, Stores, hello

PHONES = 200


class CountedRoster(Roster):
    """Counts how often the whole fleet is read."""

    looks = 0

    async def online(self) -> tuple[Sequence[OnlinePhone], Mapping[QueueKey, int]]:
        self.looks += 1
        return await super().online()


class Crowd:
    """The parts that answer hello and close."""

    def __init__(self, stores: Stores, client: Client) -> None:
        self.roster = CountedRoster(stores.pool)
        self.fleet = Fleet(self.roster, system_clock)
        wakes = Wakes(client, self.fleet, stores.queues)
        self.leasing = Leasing(stores.phones, stores.leases, stores.queues, self.fleet, wakes, time.monotonic)


@pytest.fixture
async def crowd(pool: Pool, nats_client: Client) -> AsyncIterator[Crowd]:
    crowd = Crowd(await Stores.on(pool), nats_client)
    looking = asyncio.create_task(crowd.leasing.look())
    yield crowd
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_many_at_once_are_one_look_a_tick(crowd: Crowd) -> None:
    began = time.monotonic()
    greetings = [hello() for _ in range(PHONES)]
    opened = await asyncio.gather(*(crowd.leasing.open_session(greeting) for greeting in greetings))
    assert len(crowd.fleet.online) == PHONES, "whoever is answered is known"
    closings = [
        CloseSession(account=ACCOUNT, device=greeting.device, session=each.session)
        for greeting, each in zip(greetings, opened, strict=True)
    ]
    await asyncio.gather(*(crowd.leasing.close_session(closing) for closing in closings))
    assert not crowd.fleet.online
    ticks = (time.monotonic() - began) / LOOK_GAP_S
    assert 2 <= crowd.roster.looks <= min(ticks + 1, PHONES / 4)


async def test_one_alone_waits_for_nothing(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "LOOK_GAP_S", 60.0)
    began = time.monotonic()
    greeting = hello()
    await crowd.leasing.open_session(greeting)
    assert [phone.device for phone in crowd.fleet.online] == [greeting.device]
    assert time.monotonic() - began < 20
