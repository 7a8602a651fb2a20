"""The lease beside a backlog: 1,000,000 live rows of each kind against 1,000, and under a snapshot that stays open.

A lease fills ten places of one online phone. What it gave is taken and reported as delivered, and as many new rows
come in, so that the table churns and keeps its size; each step is timed alone. The log holds a row for every live one,
because the lease reads texts from it. Both sizes are databases of one server and take turns.
"""

import asyncio
import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import uvloop

from services.dispatcher.routing import QueueKey
from services.dispatcher.states import fold
from services.dispatcher.store.leases import Asked
from services.dispatcher.store.reports import Reports
from shared.db.migrate import migrate
from shared.db.pool import Pool, connected_pool
from shared.model.ids import new_device_id
from shared.runtime.settings import ServiceSettings
from tests.support.database import running_database
from tests.support.dispatching import ACCOUNT, Stores, opened, reported
from tests.support.scale import scaled

FEW: Final = 1000
MANY: Final = scaled(small=20_000, one=1_000_000, full=1_000_000)
LEASES: Final = scaled(small=50, one=300, full=300)
OLD_SNAPSHOT_MESSAGES: Final = scaled(small=3000, one=60_000, full=60_000)
WARM_UP: Final = 20
PLACES: Final = 10
LANES: Final = 100
"""Submitters of the free rows."""
GOAL_BACKLOG: Final = 1.5
GOAL_SNAPSHOT: Final = 3.0
BULK_S: Final = 600.0


class Turn(NamedTuple):
    """How long each step took, in milliseconds."""

    lease: float
    take: float
    fold: float


class Kind(NamedTuple):
    """Nine tenths of the live rows, where they are not free."""

    name: str
    queue: QueueKey
    state: str = "ready"


FREE: Final = QueueKey(ACCOUNT, None, None, "sms")
KINDS: Final = (
    Kind("free", FREE),
    Kind("pinned to an offline phone", QueueKey(ACCOUNT, new_device_id(), None, "sms")),
    Kind("due tomorrow", FREE, "later"),
    Kind("of one submitter", FREE),
    Kind("for a channel that no phone has", QueueKey(ACCOUNT, None, None, "whatsapp")),
)


def main() -> int:
    """Runs the measurement and prints it; 0 also when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="smsfleet-bench-") as folder:
        uvloop.run(_measure(Path(folder) / "home"))
    return 0


async def _measure(home: Path) -> None:
    async with running_database(home) as server:
        for rows in (FEW, MANY):
            await _make_template(server.url, rows)
        for kind in KINDS:
            await _compare(server.url, kind)
        await _under_old_snapshot(server.url)


async def _compare(url: str, kind: Kind) -> None:
    async with _database(url, FEW, kind) as few, _database(url, MANY, kind) as many:
        turns: dict[_Live, list[Turn]] = {few: [], many: []}
        for nth in range(WARM_UP + LEASES):
            for live in (few, many) if nth % 2 else (many, few):
                turns[live].append(await live.turn())
    small, large = (_medians(some[WARM_UP:]) for some in turns.values())
    print(
        f"lease, {kind.name}: {large.lease:.2f} ms beside {MANY} rows, {small.lease:.2f} ms beside {FEW}: "
        f"{large.lease / small.lease:.2f} times (goal {GOAL_BACKLOG:g}); "
        f"take {large.take / small.take:.2f} times, fold {large.fold / small.fold:.2f} times",
        flush=True,
    )


async def _under_old_snapshot(url: str) -> None:
    leases = OLD_SNAPSHOT_MESSAGES // PLACES
    window = min(LEASES, leases // 4)
    async with _database(url, FEW, KINDS[0]) as live:
        for _ in range(WARM_UP):
            await live.turn()
        async with _old_snapshot(live.url):
            turns = [await live.turn() for _ in range(leases)]
        await live.vacuum()
        after = _medians([await live.turn() for _ in range(window)])
    begin, end = _medians(turns[:window]), _medians(turns[-window:])
    print(
        f"lease, old snapshot: {end.lease:.2f} ms after {OLD_SNAPSHOT_MESSAGES} messages, {begin.lease:.2f} ms at its "
        f"start: {end.lease / begin.lease:.2f} times (goal {GOAL_SNAPSHOT:g}); take {end.take / begin.take:.2f} times, "
        f"fold {end.fold / begin.fold:.2f} times; {after.lease:.2f} ms after its end and a vacuum",
        flush=True,
    )


def _medians(turns: Sequence[Turn]) -> Turn:
    return Turn(*map(statistics.median, zip(*turns, strict=True)))


class _Live:
    """A database with live work and one online phone."""

    def __init__(self, url: str, stores: Stores, phone: tuple[str, int], queue: int, rows: int, free: int) -> None:
        """`rows` are there already, `free` of them in the queue of this id."""
        self.url = url
        self._stores = stores
        self._reports = Reports(stores.pool)
        self._device, self._session = phone
        self._queue = queue
        self._rows = rows
        self._free = free

    async def turn(self) -> Turn:
        """One lease whose messages are delivered and replaced before this returns."""
        times = [time.perf_counter()]
        jobs = await self._stores.lease(self._device, self._session, places=PLACES)
        times.append(time.perf_counter())
        assert jobs is not None
        assert len(jobs) == PLACES, f"{len(jobs)} jobs leased"
        ids = [job.message for job in jobs]
        taken = await self._stores.leases.take([Asked(id, 1, self._device, self._session, ACCOUNT) for id in ids])
        assert len(taken) == PLACES, f"{len(taken)} jobs taken"
        times.append(time.perf_counter())
        await self._reports.fold(fold(reported(id, "delivered", self._device) for id in ids))
        times.append(time.perf_counter())
        await self._stores.pool.execute(_LOG, self._rows, PLACES, ACCOUNT)
        await self._stores.pool.execute(_FREE_WORK, self._rows, PLACES, ACCOUNT, self._queue, self._free, LANES)
        self._rows += PLACES
        self._free += PLACES
        return Turn(*((end - begin) * 1000 for begin, end in itertools.pairwise(times)))

    async def vacuum(self) -> None:
        """Lets go of dead rows."""
        await execute(self.url, "vacuum (analyze) work")


@contextlib.asynccontextmanager
async def _database(url: str, rows: int, kind: Kind) -> AsyncIterator[_Live]:
    """So many live rows, nine tenths of them of this kind, for the context's time."""
    own = on_database(url, f"live_{rows}")
    # A copy of files: through the log it would leave a checkpoint's work to the leases that are timed.
    await execute(url, f"create database live_{rows} template {_template(rows)} strategy file_copy")
    try:
        async with _pool(own) as pool:
            stores = await Stores.on(pool)
            [free_queue] = await stores.queues.intern([FREE])
            [kind_queue] = await stores.queues.intern([kind.queue])
            of_kind = 0 if kind == KINDS[0] else rows * 9 // 10
            await execute(own, _KIND_WORK, 0, of_kind, ACCOUNT, kind_queue, kind.state)
            await execute(own, _FREE_WORK, of_kind, rows - of_kind, ACCOUNT, free_queue, 0, LANES)
            await execute(own, "vacuum (analyze) work")
            yield _Live(own, stores, await opened(stores), free_queue, rows, rows - of_kind)
    finally:
        await execute(url, f"drop database live_{rows}")


async def _make_template(url: str, rows: int) -> None:
    """A database with the schema and so many messages in the log, to be copied."""
    await execute(url, f"create database {_template(rows)}")
    own = on_database(url, _template(rows))
    await asyncio.to_thread(migrate, own)
    async with _pool(own) as pool:
        await Stores.on(pool)
    await execute(own, _LOG, 0, rows, ACCOUNT)
    await execute(own, "vacuum (analyze) messages")


@contextlib.asynccontextmanager
async def _old_snapshot(url: str) -> AsyncIterator[None]:
    """Somebody's long transaction (a dump, an open console) for the context's time."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetchval("select count(*) from work")
            yield
    finally:
        await connection.close()


def _pool(url: str) -> contextlib.AbstractAsyncContextManager[Pool]:
    return connected_pool(ServiceSettings(nats_url="", database_url=url), "bench", size=2)


async def execute(url: str, statement: str, *arguments: object) -> None:
    """On a connection of its own: bulk work takes longer than a service may."""
    connection = await asyncpg.connect(url, timeout=10, command_timeout=BULK_S)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


def on_database(url: str, database: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _template(rows: int) -> str:
    return f"template_{rows}"


# Row number n of a run has one id, which sorts by it: the moment that this module was loaded, and the number.
_ID: Final = f"decode('{int(time.time() * 1000):012x}' || lpad(to_hex(n), 28, '0'), 'hex')"

_LOG: Final = f"""
insert into messages (
    id, account_id, submitter, recipient, text, channel, encoding, parts, priority, accepted_at, scheduled_at,
    valid_until, state
)
select {_ID}, $3, 'key_a', '+1555' || lpad(n::text, 7, '0'), 'Your code is 123456. It is valid for 5 minutes.', 'sms',
    'gsm7', 1, 0, now(), now(), now() + interval '3 days', 'queued'
from generate_series($1::bigint + 1, $1::bigint + $2::bigint) n
"""

_KIND_WORK: Final = f"""
insert into work (message_id, account_id, queue, prio, tag, parts, due, valid_until, state)
select {_ID}, $3, $4, 0, n, 1, now() + case $5 when 'later' then interval '1 day' else interval '0' end,
    now() + interval '3 days', $5
from generate_series($1::bigint + 1, $1::bigint + $2::bigint) n
"""

_FREE_WORK: Final = f"""
insert into work (message_id, account_id, queue, prio, tag, parts, due, valid_until, state)
select {_ID}, $3, $4, 0, ($5::bigint + n - $1::bigint - 1) / $6::bigint + 1, 1, now(), now() + interval '3 days',
    'ready'
from generate_series($1::bigint + 1, $1::bigint + $2::bigint) n
"""


if __name__ == "__main__":
    sys.exit(main())
