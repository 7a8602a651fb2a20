"""What age does to deliveries and to the log of attempts, and lists of both."""

import asyncio
import datetime as dt
import uuid

import pytest

from services.webhooks.store.claims import Claims
from services.webhooks.store.deliveries import Deliveries
from services.webhooks.store.partitions import TABLE, Partitions, first_moment, partition_name, week_of
from services.webhooks.store.results import Results
from services.webhooks.store.upkeep import Upkeep
from shared.db.pool import Pool
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.webhooks import World, delivered, failed


@pytest.fixture
async def world(pool: Pool) -> World:
    return await World.on(pool, Vault(SECRET))


async def test_what_waited_for_thirty_days_ends_as_expired_and_is_told(pool: Pool, world: World) -> None:
    account = await world.account()
    endpoint = await world.endpoint(account, state="paused")
    await world.due(account, endpoint, 30)
    upkeep = Upkeep(pool)
    assert await upkeep.expire(30, 10) == 0
    await pool.execute("update deliveries set queued_at = now() - interval '31 days' where id % 3 > 0")
    assert [await upkeep.expire(30, 1000) for _ in range(2)] == [20, 0]
    state = await world.state(endpoint)
    assert (state["pending"], state["expired"]) == (10, 20)
    assert await world.told() == [("endpoint.failing", endpoint)]
    found = await Deliveries(pool).newest(
        account, endpoint=None, event=None, states=["exhausted", "expired"], before=None, limit=100
    )
    assert len(found) == 20
    assert {each.state for each in found} == {"expired"}


async def test_deliveries_at_rest_are_removed_by_age_and_waiting_ones_stay(pool: Pool, world: World) -> None:
    account = await world.account()
    await world.due(account, await world.endpoint(account, width=6), 10)
    claims, results, upkeep = Claims(pool), Results(pool), Upkeep(pool)
    claimed = await claims.claim(uuid.uuid4(), 64)
    await results.complete([delivered(each) for each in claimed], 0.5)
    assert await upkeep.forget(30, 100) == 0
    await pool.execute(
        "update deliveries set created_at = now() - interval '31 days', ended_at = ended_at - interval '31 days'"
    )
    assert await upkeep.forget(30, 4) == 4
    assert await upkeep.forget(30, 4) == 2
    assert await world.all_are("pending")


async def test_how_things_stand(pool: Pool, world: World) -> None:
    account = await world.account()
    await world.due(account, await world.endpoint(account), 3, in_s=-60)
    await world.due(account, await world.endpoint(account, state="disabled"), 2, in_s=-600)
    await world.endpoint(account, width=0)
    standing = await Upkeep(pool).standing()
    assert (standing.pending, standing.open_breakers, standing.disabled) == (5, 1, 1)
    assert 59 < standing.oldest_due_s < 70


async def test_weeks_of_attempts_are_made_ahead_and_removed_by_age(pool: Pool) -> None:
    partitions = Partitions(pool)
    made = await asyncio.gather(*(Partitions(pool).make_ahead() for _ in range(4)))
    assert sum(len(names) for names in made) == 6
    assert await partitions.make_ahead() == []
    assert await partitions.complete()
    old = week_of(dt.datetime.now(dt.UTC)) - 8
    for week in (old, old + 1):
        low, high = first_moment(week).isoformat(), first_moment(week + 1).isoformat()
        name = partition_name(week)
        await pool.execute(f"create table {name} partition of {TABLE} for values from ('{low}') to ('{high}')")
    await pool.execute(f"alter table {TABLE} detach partition {partition_name(old)}")
    assert await partitions.remove_oldest(30) == partition_name(old), "a removal that was cut off is finished"
    assert await partitions.remove_oldest(30) == partition_name(old + 1)
    assert await partitions.remove_oldest(30) is None


async def test_lists_are_paged_and_attempts_tell_everything(pool: Pool, world: World) -> None:
    account, other = await world.account(), await world.account("other")
    endpoint = await world.endpoint(account)
    await world.due(account, endpoint, 5)
    await world.due(account, await world.endpoint(account), 2)
    claims, results, deliveries = Claims(pool), Results(pool), Deliveries(pool)
    claimed = [each for each in await claims.claim(uuid.uuid4(), 64) if each.endpoint == endpoint]
    await results.complete([delivered(claimed[0]), failed(claimed[1])], 0.5)
    seen: list[int] = []
    while page := await deliveries.newest(
        account, endpoint=None, event=None, states=[], before=seen[-1] if seen else None, limit=3
    ):
        seen += [each.id for each in page]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 7
    only = await deliveries.newest(account, endpoint=endpoint, event=None, states=["delivered"], before=None, limit=9)
    assert [each.id for each in only] == [claimed[0].id]
    told = await deliveries.attempts(account, claimed[1].id, None, 10)
    assert told is not None
    assert [(each.outcome, each.error, each.detail) for each in told.attempts] == [
        ("failed", "status", "It answered no.")
    ]
    running = await deliveries.attempts(account, claimed[2].id, None, 10)
    assert running is not None
    assert [each.outcome for each in running.attempts] == ["running"]
    await pool.execute("update deliveries set next_attempt_at = now()")
    unknown = await deliveries.attempts(account, claimed[2].id, None, 10)
    assert unknown is not None
    assert [each.outcome for each in unknown.attempts] == ["unknown"]
    assert await deliveries.attempts(other, claimed[1].id, None, 10) is None
    assert await deliveries.newest(other, endpoint=None, event=None, states=[], before=None, limit=9) == []
