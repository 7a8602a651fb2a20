"""Three NATS servers, of which the one that leads the commands is killed: nothing accepted is lost, nothing doubled."""

import asyncio
import contextlib
import random
import time
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import StreamInfo

from deploy.local import credentials
from deploy.local.paths import Home
from shared.bus.connection import opened
from shared.contracts.registry import COMMANDS, STREAMS, inbox_prefix
from tests.support.busy import Busy
from tests.support.edge import running_edge
from tests.support.handsets import Handset
from tests.support.nats_cluster import NODES, Cluster, running_cluster
from tests.support.outcomes import Outcomes, leave_for
from tests.support.pairs import ADDRESSES, Pairs, made_pairs
from tests.support.scale import scaled
from tests.support.sent_hooks import listening
from tests.support.waiting import until

MESSAGES = scaled(small=400, one=400, full=5000)
PER_S = scaled(small=30, one=30, full=60)
CALLERS = 8
PHONES = 3
DOWN_S = 3.0
"""How long a killed server stays away."""

ELECTED_S = 30.0
ALL_S = 180.0

pytestmark = pytest.mark.timeout(900)


async def test_the_leader_of_the_commands_is_killed_and_then_another(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    name = f"cluster {seed}"
    rng = random.Random(name)
    async with made_pairs() as pairs, contextlib.AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(running_cluster(pairs.home))
        await stack.enter_async_context(pairs.serving(cluster.url, NODES))
        asking = await _asking(pairs, cluster)
        stack.push_async_callback(asking.close)
        assert {stream.name: (await _info(asking, stream.name)).config.num_replicas for stream in STREAMS} == {
            stream.name: NODES for stream in STREAMS
        }
        edge = await stack.enter_async_context(running_edge(tmp_path / "edge", ADDRESSES, pairs.port))
        for number in range(PHONES):
            await stack.enter_async_context(Handset(pairs, edge, f"phone-{number}", "socket").running())
        hooks = await stack.enter_async_context(listening(pairs))
        busy = Busy(edge, pairs.key, name, tmp_path / "answers.jsonl", CALLERS, PER_S)
        loading = asyncio.create_task(busy.run())
        try:
            led = await _killed_under_load(cluster, await _leader(asking), busy, MESSAGES // 4)
            other = rng.choice([each for each in cluster.nodes if each != led])
            await _killed_under_load(cluster, other, busy, MESSAGES // 2)
            await _until_sent(busy, MESSAGES)
        finally:
            busy.end()
            await loading
        outcomes = Outcomes(pairs, tmp_path / "answers.jsonl")
        await outcomes.all_performed(ALL_S)
        unknown = await outcomes.settled(ALL_S)
        await hooks.all_arrived(outcomes.accepted.values(), ALL_S)
        told, arrived, dead = outcomes.count(), hooks.arrived, await pairs.dead()
    with capsys.disabled():
        print(
            f"\n  three NATS servers, {led} led and was killed, then {other}, seed {seed}: {busy.sent} sent,"
            f" requests ended {dict(busy.ends)}, {told.accepted} accepted, {told.performed} performed of which"
            f" {told.performed_unaccepted} were not answered 200; refused for {_refused_s(busy):.1f} s in all,"
            f" the slowest answer took {busy.slowest_s:.1f} s; {len(arrived)} webhooks arrived"
            f" ({sum(arrived.values()) - len(arrived)} of them again); {time.monotonic() - begun:.1f} s"
        )
    assert set(busy.ends) <= {"200", "503"}, busy.failures
    assert told.right, told
    assert not unknown
    assert not dead


async def _killed_under_load(cluster: Cluster, name: str, busy: Busy, after: int) -> str:
    """Kills a server once so many texts were sent, and starts it again a little later; returns its name."""
    await _until_sent(busy, after)
    await cluster.nodes[name].kill()
    await leave_for(DOWN_S)
    cluster.nodes[name].begin()
    await cluster.nodes[name].ready()
    return name


async def _until_sent(busy: Busy, count: int) -> None:
    async def sent() -> bool:
        return busy.sent >= count

    await until(sent, f"{count} texts were sent", ALL_S + MESSAGES / PER_S)


async def _asking(pairs: Pairs, cluster: Cluster) -> Client:
    """A connection as the one who makes the streams, who may look at them."""
    seed = str(credentials.nats_seed_file(Home(pairs.home), "provision"))
    return await opened(cluster.url.split(","), nkeys_seed=seed, inbox_prefix=inbox_prefix("provision"))


async def _info(asking: Client, stream: str) -> StreamInfo:
    return await asking.jetstream(timeout=5).stream_info(stream)


async def _leader(asking: Client) -> str:
    """Who leads the stream of commands."""

    async def elected() -> str | None:
        cluster = (await _info(asking, COMMANDS.name)).cluster
        return cluster.leader if cluster else None

    return await until(elected, "the stream of commands has a leader", ELECTED_S)


def _refused_s(busy: Busy) -> float:
    """For how long sends failed: the time that is covered by those that were not accepted."""
    covered, end = 0.0, float("-inf")
    for began, ended in sorted(busy.refused):
        covered += max(0.0, ended - max(began, end))
        end = max(end, ended)
    return covered
