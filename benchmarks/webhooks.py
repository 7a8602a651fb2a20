"""Deliveries of one worker process: against the bare client, beside a webhook that hangs, and exactly the set sent.

`python -m benchmarks.webhooks` prints two ratios: deliveries a second to bare posts a second with as many in flight
(goal 0.45), and the 99th percentile of healthy webhooks with a hung one's backlog to that without (goal 1.5 at most).
"""

import asyncio
import os
import statistics
import sys
import time
from collections import Counter
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast

import asyncpg
import uvloop

from services.webhooks.client import opened_client
from services.webhooks.delivery import BOUNDS
from services.webhooks.targets import Guard
from shared.bus.connection import connected
from shared.bus.provision import provision
from shared.bus.publisher import Publisher
from shared.contracts.registry import EVENT_ENVELOPE, EVENTS
from shared.db.migrate import migrate
from shared.db.pool import Pool, connected_pool
from shared.runtime.settings import ServiceSettings
from shared.security.vault import Vault
from tests.conftest import on_database
from tests.support.servers import Servers, running_servers
from tests.support.waiting import until
from tests.support.webhooks import World

SECRET: Final = "5ec2e7" * 10
ENDPOINTS: Final = 8
POSTS: Final = int(os.environ.get("SMSFLEET_BENCH_POSTS", "12000"))
ROUNDS: Final = 5
PARKED: Final = int(os.environ.get("SMSFLEET_BENCH_PARKED", "10000"))
HEALTHY: Final = 50
EACH: Final = 10
RATE: Final = 200
"""Events a second to the healthy ones together."""
BODY: Final = b"{" + b'"text":"' + b"x" * 280 + b'"}'
GOAL_SPEED: Final = 0.45
GOAL_P99: Final = 1.5


_EMPTY: Final = """
truncate events, inbox, deliveries, delivery_attempts, endpoint_state, endpoint_secrets, endpoints, accounts cascade
"""


class Sink:
    """Takes every request, slowly or at once, and knows which ids it has seen and when."""

    def __init__(self) -> None:
        """Listens to nothing yet."""
        self.seen: Counter[bytes] = Counter()
        self.at: dict[bytes, float] = {}
        self.hangs = False
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    def close(self) -> None:
        """Listens no more."""
        if self._server is not None:
            self._server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._waiting = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (head := self._waiting.find(b"\r\n\r\n")) >= 0:
            headers = self._waiting[:head].lower()
            length = int(headers.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(self._waiting) < head + 4 + length:
                return
            self._waiting = self._waiting[head + 4 + length :]
            if self._sink.hangs:
                continue
            event = headers.partition(b"webhook-id: ")[2].partition(b"\r\n")[0]
            self._sink.seen[event] += 1
            self._sink.at.setdefault(event, time.perf_counter())
            assert self._transport is not None
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Bench:
    """Servers, a database and a worker process."""

    def __init__(self, settings: ServiceSettings, pool: Pool, publisher: Publisher) -> None:
        """Measures on these."""
        self._settings = settings
        self._pool = pool
        self._world = World(pool, Vault(SECRET), publisher)

    async def bare(self, sink: Sink) -> float:
        """Posts a second of the same client in a loop, with as many in flight as a worker has."""
        async with opened_client(Guard([ip_network("127.0.0.0/8")]), connections=BOUNDS.in_flight) as client:
            left = iter(range(POSTS))

            async def caller() -> None:
                for number in left:
                    outcome = await client.post(sink.url, {"webhook-id": f"bare-{number}"}, BODY)
                    assert outcome.error is None

            begun = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(BOUNDS.in_flight)))
            return POSTS / (time.perf_counter() - begun)

    async def delivered(self, sink: Sink) -> float:
        """Deliveries a second of a worker that finds as many due, and nothing arrives twice or not at all."""
        await self._empty()
        account = await self._world.account()
        endpoints = [await self._world.endpoint(account, sink.url, width=32) for _ in range(ENDPOINTS)]
        for endpoint in endpoints:
            await self._due(account, endpoint, POSTS // ENDPOINTS)
        sink.seen.clear()
        async with Worker(self._settings):
            await until(lambda: _true(len(sink.seen) > POSTS // 10), "the worker is under way", 60)
            first, begun = len(sink.seen), time.perf_counter()
            await until(lambda: _true(len(sink.seen) == POSTS), "everything arrived", 120)
            speed = (POSTS - first) / (max(sink.at.values()) - begun)
            await until(self._nothing_pending, "every result is written down")
        assert set(sink.seen.values()) == {1}, "nothing arrived twice"
        return speed

    async def p99(self, sink: Sink, hung: Sink, parked: int) -> float:
        """The 99th percentile in ms of healthy deliveries, from the event on the stream to its arrival."""
        await self._empty()
        accounts = [await self._world.account(f"healthy {number}") for number in range(HEALTHY)]
        for account in accounts:
            await self._world.endpoint(account, sink.url)
        behind = await self._world.account("hung")
        await self._due(behind, await self._world.endpoint(behind, hung.url), parked)
        events = [await self._world.text(account) for _ in range(EACH) for account in accounts]
        first = await self._world.text(accounts[0])
        sink.seen.clear()
        sink.at.clear()
        told: dict[bytes, float] = {}
        async with Worker(self._settings):
            await self._world.publish(first)
            await until(lambda: _true(len(sink.seen) == 1), "the worker is under way", 60)
            begun = time.perf_counter()
            for number, event in enumerate(events):
                await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
                told[event.id.encode()] = time.perf_counter()
                await self._world.publish(event)
            await until(lambda: _true(len(sink.at) > len(told)), "every healthy delivery arrived", 60)
        waits = sorted(sink.at[event] - at for event, at in told.items())
        return waits[int(len(waits) * 0.99)] * 1000

    async def _due(self, account: int, endpoint: str, count: int) -> object:
        return await self._pool.fetchval(
            """
            with made as (
                insert into deliveries (event_id, endpoint_id, account_id, type, body)
                select gen_random_uuid(), $2, $1, 'sms.received', $4 from generate_series(1, $3)
                returning event_id
            ), counted as (
                update endpoint_state set pending = pending + $3 where endpoint_id = $2
            )
            select max(event_id::text) from made
            """,
            account,
            endpoint,
            count,
            BODY,
        )

    async def _empty(self) -> None:
        await self._pool.execute(_EMPTY)

    async def _nothing_pending(self) -> bool:
        pending: int = await self._pool.fetchval("select count(*) from deliveries where state = 'pending'")
        return pending == 0


class Worker:
    """A worker process for the context's time."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "SMSFLEET_NATS_URL": settings.nats_url,
            "SMSFLEET_NATS_NKEY_FILE": settings.nats_nkey_file or "",
            "SMSFLEET_DATABASE_URL": settings.database_url,
            "SMSFLEET_SECRET_KEY": SECRET,
            "SMSFLEET_LOG_LEVEL": "error",
        }

    async def __aenter__(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.webhooks", env=self._environment
        )

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 30)


def main() -> int:
    """Runs the measurement and prints it; 0 also when the goal is missed."""
    uvloop.run(_measure())
    return 0


async def _measure() -> None:
    with TemporaryDirectory(prefix="smsfleet-bench-") as home:
        async with running_servers(Path(home)) as servers:
            settings = ServiceSettings(
                nats_url=servers.nats_url,
                nats_nkey_file=servers.nats_nkey_file,
                database_url=await _database(servers),
                secret_key=SECRET,
            )
            async with connected_pool(settings, "bench") as pool, connected(settings, "bench") as client:
                await provision(client)
                jetstream = client.jetstream(timeout=5)
                await _compare(Bench(settings, pool, Publisher(jetstream, EVENTS, EVENT_ENVELOPE)))


async def _compare(bench: Bench) -> None:
    sink, hung = Sink(), Sink()
    hung.hangs = True
    await sink.start()
    await hung.start()
    try:
        await bench.bare(sink)
        speeds = [(await bench.bare(sink), await bench.delivered(sink)) for _ in range(ROUNDS)]
        ratio = statistics.median(ours / bare for bare, ours in speeds)
        bare, ours = (statistics.median(column) for column in zip(*speeds, strict=True))
        print(f"webhooks: {ours:.0f} deliveries/s to {bare:.0f} bare posts/s: ratio {ratio:.2f} (goal {GOAL_SPEED})")
        waits = [(await bench.p99(sink, hung, 0), await bench.p99(sink, hung, PARKED)) for _ in range(ROUNDS)]
        ratio = statistics.median(beside / alone for alone, beside in waits)
        alone, beside = (statistics.median(column) for column in zip(*waits, strict=True))
        print(
            f"webhooks: p99 of {HEALTHY} healthy ones {beside:.0f} ms beside a hung one with {PARKED} waiting, "
            f"{alone:.0f} ms without: ratio {ratio:.2f} (goal {GOAL_P99} at most)"
        )
    finally:
        sink.close()
        hung.close()


async def _database(servers: Servers) -> str:
    connection = await asyncpg.connect(servers.database_url, timeout=10)
    await connection.execute("create database smsfleet_bench_webhooks")
    await connection.close()
    url = on_database(servers.database_url, "smsfleet_bench_webhooks")
    await asyncio.to_thread(migrate, url)
    return url


async def _true(met: bool) -> bool:
    return met


if __name__ == "__main__":
    sys.exit(main())
