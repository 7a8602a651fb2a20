"""What phones of the app cost a gateway: memory, CPU for keepalives and renewals at rest, and their return all at once.

One gateway process, auth and dispatcher beside it, SMSFLEET_BENCH_PHONES (3,000) open streams of events, each from a
device that has registered. The goals: 64 KiB a phone, 5 % of a core for 3,000 phones, and 15 s until all of them are
back after their connections broke in the same moment: with the app's own wait of 5 s after a refusal.
"""

import asyncio
import contextlib
import itertools
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import nats
import uvloop

from benchmarks.stage import cpu_seconds, environment_of, new_account, process
from deploy.local.ports import free_port
from shared.bus.provision import provision
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.clients import CreateEnrolmentKey
from shared.db.migrate import migrate
from tests.support import http
from tests.support.embedded import Servers, start_servers
from tests.support.scale import scaled
from tests.support.smsgate_calls import Caller
from tests.support.waiting import until

PHONES: Final = int(os.environ.get("SMSFLEET_BENCH_PHONES") or scaled(small=300, one=3000, full=3000))
REST_S: Final = float(os.environ.get("SMSFLEET_BENCH_SECONDS", "30"))
AT_ONCE: Final = 64
AGAIN_S: Final = 5.0
"""The app opens its stream again so long after a refusal."""

GOAL_KIB: Final = 64.0
GOAL_CPU: Final = 0.05 * PHONES / 3000
GOAL_BACK_S: Final = 15.0


def main() -> int:
    """Runs the measurement and prints it; 0 also when a goal is missed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="smsfleet-bench-") as home:
        uvloop.run(_measure(Path(home)))
    return 0


async def _measure(home: Path) -> None:
    servers = await start_servers(home)
    try:
        await asyncio.to_thread(migrate, servers.database_url)
        await _watch(servers)
    finally:
        await servers.stop()


async def _watch(servers: Servers) -> None:
    client = await nats.connect(servers.nats_url, nkeys_seed=str(servers.nats_nkey_seed))
    with contextlib.ExitStack() as processes:
        try:
            await provision(client)
            port = free_port()
            environment = environment_of(servers) | {"SMSFLEET_PORT": str(port), "SMSFLEET_GUESSES_PER_MINUTE": "0"}
            for name in ("auth", "dispatcher"):
                processes.enter_context(process(f"services.{name}", environment))
            ask = RpcClient(client)
            account = await new_account(ask)
            key = CreateEnrolmentKey(account=account.account, multi=True, approve=True, lives_s=None)
            made = await ask.ask(registry.AUTH_ENROLMENT_CREATE, key)
            pid = processes.enter_context(process("services.gateway", environment))
            url = f"http://127.0.0.1:{port}"
            await until(lambda: _is_ready(url), "the gateway is ready", 60)
            phones = await _registered(url, made.enrolment_key)
            before, idle = _resident_kib(pid), await _cpu_at_rest(pid)
            async with contextlib.AsyncExitStack() as streams:
                places = asyncio.Semaphore(AT_ONCE)
                assert await asyncio.gather(*(_open(streams, phone, places) for phone in phones)) == [0] * PHONES
                _report((_resident_kib(pid) - before) / PHONES, await _cpu_at_rest(pid), idle)
            async with contextlib.AsyncExitStack() as streams:
                began, everywhere = time.perf_counter(), asyncio.Semaphore(PHONES)
                refusals = await asyncio.gather(*(_open(streams, phone, everywhere) for phone in phones))
                _report_return(time.perf_counter() - began, sum(refusals))
        finally:
            await client.close()


async def _registered(url: str, key: str) -> list[Caller]:
    """The phones, each with its token; so the gateway has warmed up."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> Caller:
        async with places:
            return await Caller(url, key).register()

    return await asyncio.gather(*(one() for _ in range(PHONES)))


async def _open(streams: contextlib.AsyncExitStack, phone: Caller, places: asyncio.Semaphore) -> int:
    """Opens the phone's stream, which lasts as long as `streams`; how often it was refused before."""
    async with places:
        for refusals in itertools.count():
            opening = phone.stream()
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                if (await opening.__aenter__()).status == 200:
                    streams.push_async_exit(opening)
                    return refusals
                await opening.__aexit__(None, None, None)
            await asyncio.sleep(AGAIN_S)
    raise AssertionError("unreachable")


async def _cpu_at_rest(pid: int) -> float:
    """The part of a core that the process uses while nothing happens."""
    began, used = time.perf_counter(), cpu_seconds(pid)
    await asyncio.sleep(REST_S)
    return (cpu_seconds(pid) - used) / (time.perf_counter() - began)


async def _is_ready(url: str) -> bool:
    try:
        return (await http.ask(url, "GET", "/health/ready")).status == 200
    except OSError:
        return False


def _resident_kib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    return 0.0


def _report(kib: float, cpu: float, idle: float) -> None:
    print(f"{PHONES} phones of the app, each with an open stream of events, on one gateway")
    print(f"  memory a phone  {kib:8.1f} KiB   goal at most {GOAL_KIB:.0f} KiB")
    told = f"{cpu - idle:8.2%} of a core over {REST_S:.0f} s, beside {idle:.2%} without phones"
    print(f"  CPU at rest     {told}   goal at most {GOAL_CPU:.2%}")


def _report_return(seconds: float, refusals: int) -> None:
    told = f"{seconds:8.1f} s after all broke at once, {refusals} refused and tried again after {AGAIN_S:.0f} s"
    print(f"  all are back    {told}   goal at most {GOAL_BACK_S:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
