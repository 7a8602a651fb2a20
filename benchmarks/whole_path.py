"""The life of many messages at once: submit to delivered with 20 unthrottled phones, on the whole system.

Prints messages a second, CPU milliseconds a message by process, SQL statements and bytes of WAL a message. The phones
and the load share the two cores with what is measured.
"""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import asyncpg
import uvloop

from benchmarks.load import load
from benchmarks.phones import QuickPhone
from deploy.local import placement, postgres
from deploy.local.paths import Home
from deploy.local.processes import identity
from tests.support.system import System, running_system
from tests.support.waiting import until

PHONES: Final = 20
SECONDS: Final = float(os.environ.get("SMSFLEET_BENCH_SECONDS", "3"))
GOALS: Final = {"messages a second": 1000.0, "statements a message": 0.3, "WAL bytes a message": 8192.0}
TICKS: Final = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Runs the measurement and prints it; 0 also when a goal is missed."""
    uvloop.run(_measure())
    return 0


async def _measure() -> None:
    async with running_system(SMSFLEET_PHONE="0") as system:
        await _count_statements(system)
        database = await asyncpg.connect(system.connections["database_url"])
        url = system.base_url.replace("http", "ws", 1) + "/phone/v1/socket"
        phones = [QuickPhone(url, system.credentials["enrolment_key"]) for _ in range(PHONES)]
        tasks = [asyncio.create_task(phone.run()) for phone in phones]
        await asyncio.gather(*(phone.online.wait() for phone in phones))
        await _run(system, database)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()


async def _count_statements(system: System) -> None:
    """Has Postgres count statements, which takes its superuser, and so a stop: nobody else may be that."""
    await system.stop()
    places = placement.place(Home(system.home), lambda _: None)
    settings = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = 'all'\n"
    with (places.data / "postgresql.auto.conf").open("a") as file:
        file.write(settings)
    script = (
        f"create extension pg_stat_statements\ngrant execute on function pg_stat_statements_reset to {postgres.ROLE}\n"
    )

    def run() -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [places.programs / "postgres", "--single", "-D", places.data, postgres.DATABASE],
            input=script.encode(),
            capture_output=True,
            timeout=60,
            check=True,
            cwd="/",
            **identity(places.owner),
        )

    done = await asyncio.to_thread(run)
    assert b"ERROR" not in done.stderr, done.stderr.decode()
    await system.start_up()


async def _run(system: System, database: asyncpg.Connection) -> None:
    body = f"apikey={system.key}&recipients=%2B15551234567&message=hello"
    port = int(system.base_url.rpartition(":")[2])
    request = (
        f"POST /sendsms/ HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    await load(port, request, b'"sent":"1"', seconds=1, connections=8)
    await _all_delivered(database)
    await database.execute("select pg_stat_statements_reset()")
    before, wal = _cpu(system), await _wal(database)
    already = await _delivered(database)
    begun = time.monotonic()
    result = await load(port, request, b'"sent":"1"', seconds=SECONDS, connections=32)
    await _all_delivered(database)
    took = time.monotonic() - begun
    count = await _delivered(database) - already
    assert count == result.answered, f"{result.answered} accepted, {count} delivered"
    statements = await database.fetchval(
        "select sum(calls)::float8 from pg_stat_statements "
        "where query !~* '(pg_stat|pg_wal|count\\(\\*\\) from messages)'"
    )
    measured = {
        "messages a second": count / took,
        "statements a message": statements / count,
        "WAL bytes a message": (await _wal(database) - wal) / count,
    }
    print(
        f"whole path: {count} messages delivered in {took:.1f} s, accepting {result.per_second:.0f}/s, {PHONES} phones"
    )
    for name, value in measured.items():
        print(f"  {name}: {value:.2f} (goal {GOALS[name]:g})")
    after = _cpu(system)
    for name in before:
        print(f"  CPU {name}: {(after[name] - before[name]) * 1000 / count:.3f} ms a message")
    rows = await database.fetch(
        "select calls, left(query, 90) as query from pg_stat_statements order by calls desc limit 12"
    )
    for row in rows:
        print(f"    {row['calls'] / count:.4f} a message: {' '.join(row['query'].split())}")


async def _all_delivered(database: asyncpg.Connection) -> None:
    async def settled() -> bool:
        return not await database.fetchval("select count(*) from messages where state <> 'delivered'")

    await until(settled, "every message is delivered", 90)


async def _delivered(database: asyncpg.Connection) -> int:
    count: int = await database.fetchval("select count(*) from messages")
    return count


async def _wal(database: asyncpg.Connection) -> int:
    position: int = await database.fetchval("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
    return position


def _cpu(system: System) -> dict[str, float]:
    """CPU seconds by process, children included; the phones and the load are `this benchmark`."""
    spent = {service["name"]: _tree_seconds(service["pid"]) for service in system.state["services"]}
    spent["servers and supervisor"] = _tree_seconds(system.state["pid"]) - sum(spent.values())
    spent["this benchmark"] = sum(os.times()[:2])
    return spent


def _tree_seconds(pid: int) -> float:
    """CPU seconds of a process and everything below it."""
    total = 0.0
    children: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            seconds[int(entry.name)] = sum(map(int, fields[11:15])) / TICKS
    queue = [pid]
    while queue:
        one = queue.pop()
        total += seconds.get(one, 0.0)
        queue += children.get(one, [])
    return total


if __name__ == "__main__":
    sys.exit(main())
