"""Durable accepts a second of /sendsms/ beside a bare Litestar form handler and a bare ASGI app.

Same server flags, each server alone on one core, the load generator and all the servers behind on the other;
alternating runs, medians, ratios. Every accept is fsynced before its answer; the goal is 1.3 times the bare Litestar
handler, which keeps nothing.
"""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import nats
import uvloop

from benchmarks.load import Load, load
from deploy.local.ports import free_port
from shared.bus.provision import provision
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import AccountCreated, CreateAccount
from shared.db.migrate import migrate
from shared.errors import Unavailable
from shared.model.ids import new_device_id
from tests.support.embedded import Servers, start_servers

GOAL: Final = 1.3
RUNS: Final = 3
SECONDS: Final = float(os.environ.get("SMSFLEET_BENCH_SECONDS", "3"))
SECRET: Final = "b3" * 32
READY_S: Final = 30.0


def main() -> int:
    """Runs the measurement and prints it; 0 also when the goal is missed."""
    with tempfile.TemporaryDirectory(prefix="smsfleet-bench-") as home:
        uvloop.run(_measure(Path(home)))
    return 0


async def _measure(home: Path) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    under_test, rest = (cores[0], cores[1:]) if len(cores) > 1 else (None, cores)
    if under_test is not None:
        os.sched_setaffinity(0, rest)
    else:
        print("one core only: the load generator shares it, so the ratios say little")
    servers = await start_servers(home)
    try:
        await asyncio.to_thread(migrate, servers.database_url)
        await _compare(servers, under_test)
    finally:
        await servers.stop()
        if under_test is not None:
            os.sched_setaffinity(0, cores)


async def _compare(servers: Servers, core: int | None) -> None:
    client = await nats.connect(servers.nats_url, nkeys_seed=str(servers.nats_nkey_seed))
    with contextlib.ExitStack() as processes:
        try:
            await provision(client)
            environment = _environment(servers)
            processes.enter_context(_process("services.auth", environment))
            account = await _account(RpcClient(client))
            await _add_device(servers.database_url, account.account)
            ports = {kind: free_port() for kind in ("sendsms", "litestar", "asgi")}
            own = environment | {"SMSFLEET_PORT": str(ports["sendsms"])}
            pids = {
                "sendsms": processes.enter_context(_process("services.gateway", own)),
                "litestar": processes.enter_context(
                    _process("benchmarks.rivals", environment, "litestar", str(ports["litestar"]))
                ),
                "asgi": processes.enter_context(_process("benchmarks.rivals", environment, "asgi", str(ports["asgi"]))),
            }
            if core is not None:
                for pid in pids.values():
                    os.sched_setaffinity(pid, {core})
            runs: dict[str, list[Load]] = {kind: [] for kind in ports}
            costs: dict[str, list[float]] = {kind: [] for kind in ports}
            request = _request(account.api_key)
            for port in ports.values():
                await _warm_up(port, request)
            for _ in range(RUNS):
                for kind, port in ports.items():
                    await client.jetstream().purge_stream(registry.COMMANDS.name)
                    before = _cpu_seconds(pids[kind])
                    run = await load(port, request, b'"error":0', SECONDS)
                    cost = (_cpu_seconds(pids[kind]) - before) / max(run.answered, 1) * 1e6
                    runs[kind].append(run)
                    costs[kind].append(cost)
                    print(
                        f"{kind:9} {run.per_second:8.0f}/s   p50 {run.p50_ms:6.1f} ms   p99 {run.p99_ms:6.1f} ms   "
                        f"{cost:5.0f} us CPU each   refused {run.refused}",
                        flush=True,
                    )
        finally:
            await client.close()
    _report(runs, costs)


def _report(runs: dict[str, list[Load]], costs: dict[str, list[float]]) -> None:
    median = {kind: statistics.median(run.per_second for run in some) for kind, some in runs.items()}
    ratio = median["sendsms"] / median["litestar"]
    print(f"\nmedians of {RUNS} alternating runs of {SECONDS:g} s, 64 connections, sync always:")
    for kind, value in median.items():
        print(f"  {kind:9} {value:8.0f}/s   {value / median['litestar']:5.2f} x the bare Litestar form handler")
    verdict = "met" if ratio >= GOAL else "MISSED (where the time goes: python -m cProfile -m services.gateway)"
    cost = {kind: statistics.median(some) for kind, some in costs.items()}
    if cost["sendsms"]:
        share = cost["litestar"] / cost["sendsms"]
        print(f"by CPU, which a busy machine bends less: {share:.2f} x for each request of the server under test")
    print(f"durable accepts: {ratio:.2f} x the bare Litestar form handler (goal {GOAL}): {verdict}")


def _environment(servers: Servers) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "SMSFLEET_NATS_URL": servers.nats_url,
        "SMSFLEET_NATS_NKEY_FILE": str(servers.nats_nkey_seed),
        "SMSFLEET_DATABASE_URL": servers.database_url,
        "SMSFLEET_SECRET_KEY": SECRET,
        "SMSFLEET_LOG_LEVEL": "warning",
    }


@contextlib.contextmanager
def _process(module: str, environment: dict[str, str], *arguments: str) -> Iterator[int]:
    """Runs `python -m module` for the context's time; yields its process id."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


async def _account(ask: RpcClient) -> AccountCreated:
    deadline = asyncio.get_running_loop().time() + READY_S
    while True:
        try:
            return await ask.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name="bench"))
        except Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.1)


async def _add_device(database_url: str, account: int) -> None:
    """An account without any device is refused at the edge."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute(
            """
            insert into devices (id, account_id, name, protocol, journal, channels, approved, gateway, opened_at,
                renewed_at, last_seen_at)
            values ($1, $2, 'bench', 'socket', 'j', '{sms}', true, 'g', now(), now(), now())
            """,
            new_device_id(),
            account,
        )
    finally:
        await connection.close()


def _request(api_key: str) -> bytes:
    body = f"apikey={api_key}&recipients=%2B32471234567&message=Your+code+is+123456.+It+is+valid+for+5+minutes."
    head = (
        "POST /sendsms/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


async def _warm_up(port: int, request: bytes) -> None:
    deadline = asyncio.get_running_loop().time() + READY_S
    while True:
        try:
            run = await load(port, request, b'"error":0', 0.5, connections=8)
            if run.answered and not run.refused:
                return
        except OSError:
            pass
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"nothing good answers on port {port}")
        await asyncio.sleep(0.1)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process; 0 where /proc is not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
