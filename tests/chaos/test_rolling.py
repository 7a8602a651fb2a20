"""Every process of every service is stopped and started again under load: no request fails, each text is sent once."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.workers import SERVICES
from tests.support.busy import Busy
from tests.support.edge import running_edge
from tests.support.handsets import Handset
from tests.support.outcomes import Outcomes, leave_for
from tests.support.pairs import ADDRESSES, Pairs, made_pairs
from tests.support.scale import scaled
from tests.support.sent_hooks import SentHooks, listening

ROUNDS = scaled(small=1, one=1, full=3)
PER_S = scaled(small=30, one=30, full=60)
CALLERS = 8
SOCKET_PHONES = 2
APP_PHONES = 2
CALM_S = 1.0
"""Load before the first restart and after the last one."""

ALL_S = 360.0
"""What a phone of the app was given and never got, as on a machine too busy to answer, it is told again after 300 s."""

pytestmark = pytest.mark.timeout(1200)


@contextlib.asynccontextmanager
async def behind_edge(tmp_path: Path, name: str) -> AsyncIterator[tuple[Pairs, Busy, SentHooks]]:
    """Two of each service behind Caddy, phones of both kinds, a customer with a webhook, and a load under way."""
    async with made_pairs() as pairs, contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(pairs.serving())
        edge = await stack.enter_async_context(running_edge(tmp_path / "edge", ADDRESSES, pairs.port))
        for number in range(SOCKET_PHONES):
            await stack.enter_async_context(Handset(pairs, edge, f"socket-{number}", "socket").running())
        for number in range(APP_PHONES):
            await stack.enter_async_context(Handset(pairs, edge, f"app-{number}", "smsgate").running())
        for device in (await pairs.cli("phone", "list"))["devices"]:
            await pairs.cli("phone", "budget", device["id"], "--per-minute", "0", "--per-hour", "0", "--per-day", "0")
        hooks = await stack.enter_async_context(listening(pairs))
        busy = Busy(edge, pairs.key, name, tmp_path / "answers.jsonl", CALLERS, PER_S)
        loading = asyncio.create_task(busy.run())
        try:
            await leave_for(CALM_S)
            yield pairs, busy, hooks
        finally:
            busy.end()
            await loading


async def test_each_process_of_each_service(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    took: dict[str, float] = {}
    steps: list[str] = []
    async with behind_edge(tmp_path, f"rolling {seed}") as (pairs, busy, hooks):
        for _ in range(ROUNDS):
            for service in SERVICES:
                for process in pairs.of[service]:
                    steps.append(f"{time.time():.2f} {process.name} stops")
                    took[service] = max(took.get(service, 0.0), await process.stop())
                    steps.append(f"{time.time():.2f} {process.name} starts")
                    await process.start()
        rolled_s = time.monotonic() - begun
        await leave_for(CALM_S)
        busy.end()
        outcomes = Outcomes(pairs, tmp_path / "answers.jsonl")
        await outcomes.all_performed(ALL_S)
        unknown = await outcomes.settled(ALL_S)
        await hooks.all_arrived(outcomes.accepted.values(), ALL_S)
        told, arrived, dead = outcomes.count(), hooks.arrived, await pairs.dead()
    stops = ", ".join(f"{service} {seconds:.1f} s" for service, seconds in took.items())
    with capsys.disabled():
        print(
            f"\n  rolling restarts, seed {seed}: {ROUNDS * 2} of each service within {rolled_s:.0f} s;"
            f" {busy.sent} sent, requests ended {dict(busy.ends)}, the slowest after {busy.slowest_s:.2f} s;"
            f" {told.accepted} accepted, {told.performed} performed, {len(arrived)} webhooks arrived"
            f" ({sum(arrived.values()) - len(arrived)} of them again); longest stops: {stops};"
            f" {time.monotonic() - begun:.1f} s"
        )
    assert set(busy.ends) == {"200"}, "\n".join(sorted(steps + busy.failures))
    assert told.right, told
    assert told.accepted == busy.sent
    assert not unknown
    assert not dead
