"""kill -9 of the worker with all its places taken: every event arrives, and only what was under way arrives twice."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client as NatsClient

from services.webhooks.store.claims import LEASE_S
from shared.bus.publisher import Publisher
from shared.contracts import registry
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.hostile import Answer, HostileReceiver
from tests.support.scale import scaled
from tests.support.waiting import until
from tests.support.webhooks import World

pytestmark = [pytest.mark.kills, pytest.mark.timeout(600)]

KILLS = scaled(small=3, one=3, full=10)
EVENTS = scaled(small=1000, one=1000, full=20_000)
ENDPOINTS = 4
PLACES = 64
HELD = Answer(behaviour="hang")


class Worker:
    """A webhooks process that is killed and started again."""

    def __init__(self, settings: ServiceSettings) -> None:
        named = {
            f"SMSFLEET_{name.upper()}": str(value) for name, value in msgspec.to_builtins(settings).items() if value
        }
        self._environment = {**os.environ, **named, "SMSFLEET_LOG_LEVEL": "error"}

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.webhooks", env=self._environment
        )

    async def kill(self) -> None:
        assert self._process.returncode is None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), 30)


@pytest.fixture
async def worker(settings: ServiceSettings) -> AsyncIterator[Worker]:
    worker = Worker(settings)
    await worker.start()
    yield worker
    await worker.stop()


async def test_every_event_arrives_and_only_those_under_way_twice(
    worker: Worker, pool: Pool, nats_client: NatsClient
) -> None:
    publisher = Publisher(nats_client.jetstream(timeout=5), registry.EVENTS, registry.EVENT_ENVELOPE)
    world = World(pool, Vault(SECRET), publisher)
    account = await world.account()
    async with HostileReceiver() as receiver:
        for _ in range(ENDPOINTS):
            await world.endpoint(account, receiver.url, width=32)
        events = [await world.text(account) for _ in range(EVENTS // ENDPOINTS)]
        expected = Counter({event.id: ENDPOINTS for event in events})
        under_way: Counter[str] = Counter()
        share = len(events) // KILLS
        for round in range(KILLS):
            receiver.default = HELD
            before = len(receiver.requests)
            await world.publish(*events[round * share : None if round == KILLS - 1 else (round + 1) * share])
            await until(lambda: _true(len(receiver.requests) - before >= PLACES), "all places are taken", 60)  # noqa: B023
            await worker.kill()
            under_way += Counter(request.headers["webhook-id"] for request in receiver.requests[before:])
            assert await pool.fetchval("select count(*) from deliveries where claim is not null") == PLACES
            receiver.default = Answer()
            # As if the leases had ended: nobody else may hold them until then.
            await pool.execute("update deliveries set next_attempt_at = now() where claim is not null")
            await worker.start()

            async def nothing_is_left() -> bool:
                pending: int = await pool.fetchval("select count(*) from deliveries where state = 'pending'")
                made: int = await pool.fetchval("select count(*) from deliveries")
                told = len(events) if round == KILLS - 1 else (round + 1) * share  # noqa: B023
                return pending == 0 and made == told * ENDPOINTS

            await until(nothing_is_left, "everything arrived", 60 + LEASE_S)
        arrived = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert set(arrived) == set(expected)
    twice = arrived - expected
    assert not twice - under_way, "only what was under way at a kill arrives again"
    assert not expected - arrived
    assert await pool.fetchval("select count(*) from delivery_attempts where error = 'unknown'") == PLACES * KILLS
    assert await pool.fetchval("select sum(delivered) from endpoint_state") == len(events) * ENDPOINTS


async def _true(met: bool) -> bool:
    return met
