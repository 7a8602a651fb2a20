"""The dashboard's lists and filters beside 1,000,000 messages against 1,000, and what the search costs the live path.

Both sizes are databases of one server and take turns; each read is timed alone, medians, ratios. Where 1,000 messages
do not fill the page that 1,000,000 do, pages of as many rows as both have are compared too. The search of the large one
is made by its own job, and how fast that goes is printed. Then messages are stored with the job running and without it,
in turns.
"""

import asyncio
import contextlib
import datetime as dt
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import nats.aio.client
import uvloop

from benchmarks.lease import execute, on_database
from services.dispatcher.hints import Hinter
from services.dispatcher.searching import PERIOD_S, Searching
from services.dispatcher.store.partitions import LOG, Partitions, bound, partition_name, week_of
from services.dispatcher.store.search import Search
from services.gateway.app import PAGES_POOL_SIZE
from services.gateway.dashboard.store.filters import Filter, Number
from services.gateway.dashboard.store.messages import Found, Messages
from services.gateway.dashboard.store.overview import Overview
from services.gateway.dashboard.store.threads import Place, Talk, ThreadPage, Threads
from shared.db.migrate import migrate
from shared.db.pool import Pool, connected_pool
from shared.model.ids import MessageId
from shared.runtime.settings import ServiceSettings
from tests.support.database import running_database
from tests.support.dispatching import ACCOUNT, Stores, submit_sms
from tests.support.scale import scaled

FEW: Final = 1000
MANY: Final = scaled(small=20_000, one=1_000_000, full=1_000_000)
READS: Final = scaled(small=10, one=60, full=60)
WARM_UP: Final = 10
GOAL: Final = 1.5
PAGE: Final = 50
STORED: Final = scaled(small=2000, one=20_000, full=20_000)
ROUNDS: Final = scaled(small=1, one=3, full=3)
AT_ONCE: Final = 256
DAYS: Final = 20
PHONES: Final = 5
RARE: Final = 10
"""So many messages have the rare word, and the rare phone."""


class Reader(NamedTuple):
    """One database's readers, and what is in its middle."""

    messages: Messages
    overview: Overview
    threads: Threads
    middle: MessageId
    number: str
    thread: Place


Read = Callable[[Reader, int], Awaitable[object]]
"""Reads a page of at most so many rows."""


def _found(wanted: Filter) -> Read:
    return lambda at, limit: at.messages.find(ACCOUNT, wanted, limit=limit)


READ: Final[Mapping[str, Read]] = {
    "list": _found(Filter()),
    "list, from the middle": lambda at, limit: at.messages.find(ACCOUNT, Filter(), before=at.middle, limit=limit),
    "list, back to newer": lambda at, limit: at.messages.find(ACCOUNT, Filter(), after=at.middle, limit=limit),
    "state delivered": _found(Filter(state="delivered")),
    "state failed": _found(Filter(state="failed")),
    "state queued, none": _found(Filter(state="queued")),
    "phone": _found(Filter(device="phone-1")),
    "rare phone": _found(Filter(device="phone-rare")),
    "number": lambda at, limit: at.messages.find(ACCOUNT, Filter(number=Number(at.number, None)), limit=limit),
    "number, its last 7 digits": lambda at, limit: at.messages.find(
        ACCOUNT, Filter(number=Number(None, at.number[-7:])), limit=limit
    ),
    "number, 4 common digits": _found(Filter(number=Number(None, "1555"))),
    "message": lambda at, limit: at.messages.find(ACCOUNT, Filter(message=at.middle), limit=limit),
    "day": _found(Filter(since=dt.datetime.now(dt.UTC) - dt.timedelta(days=DAYS / 2))),
    "text, in every message": _found(Filter(text="order")),
    "text, in 2 of 100": _found(Filter(text="Michelle")),
    "text, rare": _found(Filter(text="zeppelin")),
    "text, nowhere": _found(Filter(text="quetzalcoatl")),
    "failed on a phone": _found(Filter(state="failed", device="phone-1")),
    "failed, text in 2 of 100": _found(Filter(state="failed", text="Michelle")),
    "conversations": lambda at, limit: at.threads.list(ACCOUNT, limit=limit),
    "conversations, from the middle": lambda at, limit: at.threads.list(ACCOUNT, before=at.thread, limit=limit),
    "a conversation": lambda at, limit: at.threads.show(ACCOUNT, at.number, limit=limit),
    "overview": lambda at, _: at.overview.read(ACCOUNT),
}


def main() -> int:
    """Runs the measurement and prints it; 0 also when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="smsfleet-bench-") as folder:
        uvloop.run(_measure(Path(folder) / "home"))
    return 0


async def _measure(home: Path) -> None:
    async with running_database(home) as server:
        async with _filled(server.url, FEW) as few, _filled(server.url, MANY) as many:
            await _compare(few, many)
        await _live_path(server.url)


async def _compare(few: Reader, many: Reader) -> None:
    for name, read in READ.items():
        small, large = await _times(few, many, read, PAGE)
        told = f"{large:.2f} ms beside {MANY} messages, {small:.2f} ms beside {FEW}: {large / small:.2f} times"
        rows, most = _rows(await read(few, PAGE)), _rows(await read(many, PAGE))
        if rows != most:
            small, large = await _times(few, many, read, max(rows, 1))
            told += f", with {most} rows against {rows}; with {max(rows, 1)} each: {large / small:.2f} times"
        print(f"dashboard, {name}: {told} (goal {GOAL:g})", flush=True)


async def _times(few: Reader, many: Reader, read: Read, limit: int) -> list[float]:
    """Medians of the small one and the large one, in milliseconds."""
    times: dict[Reader, list[float]] = {few: [], many: []}
    for nth in range(WARM_UP + READS):
        for place in (few, many) if nth % 2 else (many, few):
            began = time.perf_counter()
            await read(place, limit)
            times[place].append((time.perf_counter() - began) * 1000)
    return [statistics.median(some[WARM_UP:]) for some in times.values()]


def _rows(page: object) -> int:
    match page:
        case Found(rows=rows) | ThreadPage(threads=rows) | Talk(said=rows):
            return len(rows)
        case _:
            return 0


async def _live_path(url: str) -> None:
    """Stores messages with the job running, and without it."""
    runs: dict[bool, list[float]] = {True: [], False: []}
    wal: dict[bool, list[float]] = {True: [], False: []}
    late = 0.0
    async with _database(url, "live") as pool:
        stores = await Stores.on(pool)
        await _level(pool)
        for nth in range(2 * ROUNDS):
            on = nth % 2 == 0
            job = asyncio.create_task(_job(pool)) if on else None
            before, began = await _wal(pool), time.perf_counter()
            for _ in range(STORED // AT_ONCE):
                await stores.messages.submit([submit_sms(f"+1555{n:07}", text=_text(n)) for n in range(AT_ONCE)])
                if on:
                    late = max(late, await _lag(pool))
            runs[on].append(STORED / (time.perf_counter() - began))
            if job is not None:
                job.cancel()
                await asyncio.gather(job, return_exceptions=True)
            await _level(pool)
            wal[on].append((await _wal(pool) - before) / STORED)
    with_job, without = statistics.median(runs[True]), statistics.median(runs[False])
    print(
        f"search beside the live path: {with_job:.0f} messages stored a second with the job, {without:.0f} without: "
        f"{with_job / without:.2f} times; it was {late:.1f} s behind at most; "
        f"{statistics.median(wal[True]):.0f} bytes of WAL a message, with the search made"
    )


async def _job(pool: Pool) -> None:
    searching = Searching(Search(pool), Hinter(nats.aio.client.Client()), lambda: True)
    while True:
        await searching.tick()
        await asyncio.sleep(PERIOD_S)


async def _level(pool: Pool) -> int:
    search, done = Search(pool), 0
    while (step := await search.step()).more:
        done += step.done
    return done


async def _lag(pool: Pool) -> float:
    lag: float = await pool.fetchval(
        "select coalesce(extract(epoch from clock_timestamp() - (select min(noted_at) from unsearched)), 0)::float8"
    )
    return lag


async def _wal(pool: Pool) -> int:
    position: int = await pool.fetchval("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
    return position


def _text(number: int) -> str:
    return f"Dear customer {number}, your order {number * 7919 % 1_000_000} is on its way and arrives tomorrow."


@contextlib.asynccontextmanager
async def _filled(url: str, rows: int) -> AsyncIterator[Reader]:
    """So many messages of the last days, a tenth as many received texts, and their search."""
    async with _database(url, f"dashboard_{rows}") as pool:
        own = on_database(url, f"dashboard_{rows}")
        week = week_of(dt.datetime.now(dt.UTC))
        for old in range(week - DAYS // 7 - 1, week - 1):
            for table in LOG:
                name = partition_name(table, old)
                await pool.execute(f"create table {name} (like {table} including all)")
                await pool.execute(
                    f"alter table {table} attach partition {name} "
                    f"for values from ('\\x{bound(old).hex()}') to ('\\x{bound(old + 1).hex()}')"
                )
        await Partitions(pool).make_ahead()
        await execute(own, _LOG, rows, ACCOUNT, DAYS, PHONES, max(rows // RARE, 1))
        await execute(own, _INBOX, rows // 10, ACCOUNT)
        await execute(own, "vacuum (analyze) messages")
        began = time.perf_counter()
        done = await _level(pool)
        took = time.perf_counter() - began
        print(f"search: {done} messages and texts taken in, {done / took:.0f} a second", flush=True)
        for table in ("search_states", "search_texts", "search_numbers", "threads", "tallies", "inbox"):
            await execute(own, f"vacuum (analyze) {table}")
        (middle,) = await pool.fetch("select id, recipient from messages order by id offset $1 limit 1", rows // 2)
        (thread,) = await pool.fetch("select at, number from threads order by at offset $1 limit 1", rows // 20)
        settings = ServiceSettings(nats_url="", database_url=own)
        async with connected_pool(settings, "bench-pages", size=PAGES_POOL_SIZE, plans_once=True) as pages:
            messages = Messages(pages)
            yield Reader(
                messages,
                Overview(pages),
                Threads(pages, messages),
                middle["id"],
                middle["recipient"],
                Place(thread["at"], thread["number"]),
            )


@contextlib.asynccontextmanager
async def _database(url: str, name: str) -> AsyncIterator[Pool]:
    await execute(url, f"create database {name}")
    own = on_database(url, name)
    await asyncio.to_thread(migrate, own)
    try:
        async with connected_pool(ServiceSettings(nats_url="", database_url=own), "bench", size=4) as pool:
            await Partitions(pool).make_ahead()
            yield pool
    finally:
        await execute(url, f"drop database {name} with (force)")


# Ids grow with the row's number. Each recipient comes ten times, spread over all the time; their digits are as
# scattered as those of people are (the modulus is prime).
_RECIPIENT: Final = "'+1555' || lpad(((({nth}) % greatest({all}, 1))::bigint * 48271 % 9999991)::text, 7, '0')"

_LOG: Final = f"""
insert into messages (
    id, account_id, submitter, recipient, text, channel, encoding, parts, priority, accepted_at, scheduled_at,
    valid_until, state, device_id, sim, attempt
)
select decode(lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 28, '0'), 'hex'), $2,
    'key_a', {_RECIPIENT.format(nth="n", all="$1::int / 10")},
    'Dear ' || (array['Michelle', 'Anna', 'Bob', 'Carlos', 'Dmitri', 'Eve', 'Farah', 'Gustav', 'Hana', 'Ivan'])[
        case when n % 50 = 0 then 1 else 2 + n % 9 end
    ] || case when n % $5::int = 7 then ', your zeppelin' else ', your order' end || ' ' || (n::bigint * 7919 % 1000000)
        || ' of this order list is on its way and arrives tomorrow.',
    'sms', 'gsm7', 1, 0, at, at, at + interval '3 days',
    case when n % 100 = 0 then 'failed' when n % 100 < 4 then 'sent' when n % 200 = 5 then 'canceled'
        else 'delivered' end,
    case when n % $5::int = 3 then 'phone-rare' else 'phone-' || n / 7 % $4::int end, 1, 1
from (
    select n, now() - make_interval(days => $3) + make_interval(days => $3) * (n / $1::float8) as at
    from generate_series(1, $1::int) n
) numbers
"""

_INBOX: Final = f"""
insert into inbox (account_id, device_id, sim, number, text, received_at, utc_offset_min, stored_at, fingerprint)
select $2, 'phone-1', 1, {_RECIPIENT.format(nth="n * 3", all="$1::int")}, 'Thank you for order ' || n,
    now(), 0, now() - make_interval(secs => $1::int - n), decode(lpad(to_hex(n), 64, '0'), 'hex')
from generate_series(1, $1::int) n
"""


if __name__ == "__main__":
    sys.exit(main())
