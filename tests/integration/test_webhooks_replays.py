"""Replays: what they count is what they deliver, they can be stopped, and everyone sees how far they are."""

import uuid
from typing import Any

import pytest

from services.webhooks.consumers import FanOut
from services.webhooks.records import Records
from services.webhooks.replaying import Replaying
from services.webhooks.store.claims import Claims
from services.webhooks.store.deliveries import Deliveries
from services.webhooks.store.events import Events
from services.webhooks.store.replays import Replays
from services.webhooks.store.results import Results
from shared.contracts.rpc.deliveries import CancelReplay, CreateReplay, ListDeliveries, ListReplays, Replay
from shared.db.pool import Pool
from shared.errors import Conflict, Invalid, NotFound
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.webhooks import World, delivered, failed


class Past:
    """An endpoint with a past: 4 events delivered, 3 exhausted, 2 waiting; and 5 from before it was made."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events = Events(world.pool)
        self.replays = Replays(world.pool)
        self.records = Records(Deliveries(world.pool), self.replays)
        self.replaying = Replaying(self.replays, self.events, lambda: None)
        self.claims = Claims(world.pool)
        self.results = Results(world.pool)
        self.fan_out = FanOut(self.events, lambda: None)
        self.account = 0
        self.endpoint = ""

    async def happen(self) -> None:
        world = self.world
        self.account = await world.account()
        self.missing = [await world.text(self.account, f"missing {number}") for number in range(5)]
        await self.fan_out.store(self.missing)
        self.endpoint = await world.endpoint(self.account, width=32)
        await self.fan_out.store([await world.text(self.account, str(number)) for number in range(9)])
        await world.pool.execute("update deliveries set attempts = 9")
        claimed = await self.claims.claim(uuid.uuid4(), 64)
        await self.results.complete([delivered(each) for each in claimed[:4]], 0.5)
        await self.results.complete([failed(each, last=True) for each in claimed[4:7]], 0.5)
        await self.results.complete([failed(each, retry_s=3600, counted=False) for each in claimed[7:]], 0.5)
        assert await self.counts() == {"delivered": 4, "exhausted": 3, "pending": 2}

    async def counts(self) -> dict[str, int]:
        rows = await self.world.pool.fetch("select state, count(*) from deliveries group by state")
        return {row["state"]: row["count"] for row in rows}

    async def create(self, **more: Any) -> Any:
        return await self.records.replay(CreateReplay(account=self.account, endpoint=self.endpoint, **more))

    async def shown(self, replay: str) -> Replay:
        answer = await self.records.replays(ListReplays(account=self.account, id=replay))
        return answer.replays[0]

    async def deliver(self, most: int = 1000) -> list[str]:
        """Bodies of what arrives until nothing is due."""
        bodies: list[str] = []
        while len(bodies) < most and (claimed := await self.claims.claim(uuid.uuid4(), 64)):
            bodies += [each.body.decode() for each in claimed]
            await self.results.complete([delivered(each) for each in claimed], 0.5)
        return bodies


@pytest.fixture
async def past(pool: Pool) -> Past:
    past = Past(await World.on(pool, Vault(SECRET)))
    await past.happen()
    return past


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        ({}, 12),
        ({"states": ["exhausted"]}, 3),
        ({"states": ["delivered"]}, 4),
        ({"states": ["missing"]}, 5),
        ({"states": ["missing", "exhausted"]}, 8),
        ({"types": ["sms.sent"]}, 0),
        ({"until": 1_000_000_000.0}, 0),
        ({"since": 1_000_000_000.0}, 12),
    ],
)
async def test_a_dry_run_counts_exactly_what_a_replay_then_delivers(
    past: Past, chosen: dict[str, Any], count: int
) -> None:
    dry = await past.create(dry_run=True, **chosen)
    assert (dry.matched, dry.replay) == (count, None)
    assert await past.deliver() == []
    begun = await past.create(**chosen)
    assert begun.matched == count
    await past.replaying.tick()
    queued = await past.shown(begun.replay.id)
    assert (queued.state, queued.queued, queued.skipped) == ("done", count, 0)
    bodies = await past.deliver()
    assert len(bodies) == len(set(bodies)) == count
    shown = await past.shown(begun.replay.id)
    assert (shown.delivered, shown.exhausted, shown.canceled) == (count, 0, 0)
    assert (await past.counts()).get("pending") == 2, "what was pending is left alone"
    state = await past.world.state(past.endpoint)
    assert state["pending"] == 2


async def test_single_events_keep_their_ids_and_log(past: Past) -> None:
    (chosen,) = await past.world.pool.fetch("select id, event_id from deliveries where state = 'exhausted' limit 1")
    begun = await past.create(events=[str(chosen["event_id"])])
    assert begun.matched == 1
    await past.replaying.tick()
    (claimed,) = await past.claims.claim(uuid.uuid4(), 64)
    assert (claimed.id, claimed.event, claimed.used_up, claimed.tries) == (chosen["id"], chosen["event_id"], 0, 2)
    await past.results.complete([delivered(claimed)], 0.5)
    listed = await past.records.deliveries(ListDeliveries(account=past.account, event=str(chosen["event_id"])))
    assert [(each.state, each.lane, each.replay) for each in listed.deliveries] == [
        ("delivered", "replay", begun.replay.id)
    ]


async def test_a_canceled_replay_leaves_everything_as_it_was(past: Past) -> None:
    begun = await past.create()
    await past.replaying.tick()
    await past.world.pool.execute("update replays set state = 'running'")
    with pytest.raises(Conflict) as second:
        await past.create()
    assert second.value.code == "replay_running"
    first = await past.claims.claim(uuid.uuid4(), 64)
    await past.results.complete([delivered(each) for each in first], 0.5)
    stopped = (await past.records.cancel(CancelReplay(account=past.account, id=begun.replay.id))).replay
    assert (stopped.state, stopped.delivered, stopped.canceled) == ("canceled", len(first), 12 - len(first))
    assert await past.deliver() == []
    assert sum((await past.counts()).values()) == 14
    assert (await past.counts())["pending"] == 2
    assert (await past.world.state(past.endpoint))["pending"] == 2
    with pytest.raises(Conflict) as over:
        await past.records.cancel(CancelReplay(account=past.account, id=begun.replay.id))
    assert over.value.code == "replay_over"


async def test_a_text_that_was_deleted_is_skipped(past: Past) -> None:
    await past.world.pool.execute("update inbox set deleted_at = now() where text = 'missing 2'")
    begun = await past.create(states=["missing"])
    await past.replaying.tick()
    shown = await past.shown(begun.replay.id)
    assert (shown.matched, shown.queued, shown.skipped, shown.state) == (5, 4, 1, "done")


async def test_replays_belong_to_their_account_and_are_checked(past: Past) -> None:
    other = await past.world.account("other")
    begun = await past.create()
    for question in (
        past.records.replay(CreateReplay(account=other, endpoint=past.endpoint)),
        past.records.replay(CreateReplay(account=other, endpoint=past.endpoint, dry_run=True)),
        past.records.replays(ListReplays(account=other, id=begun.replay.id)),
        past.records.cancel(CancelReplay(account=other, id=begun.replay.id)),
    ):
        with pytest.raises(NotFound):
            await question
    for wrong in ({"events": ["x"]}, {"types": ["sms.unheard"]}, {"since": -1.0}):
        with pytest.raises(Invalid) as refused:
            await past.create(**wrong)
        assert refused.value.code == "invalid_replay"
