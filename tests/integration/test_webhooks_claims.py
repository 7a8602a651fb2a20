"""Claims and leases: shared out fairly, fenced, within the window, and nothing is lost with the worker that held it."""

import asyncio
import uuid

import pytest

from services.webhooks.store.claims import Claims
from services.webhooks.store.results import Results
from shared.db.pool import Pool
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.webhooks import World, delivered, failed


@pytest.fixture
async def world(pool: Pool) -> World:
    return await World.on(pool, Vault(SECRET))


@pytest.fixture
def claims(pool: Pool) -> Claims:
    return Claims(pool)


@pytest.fixture
def results(pool: Pool) -> Results:
    return Results(pool)


async def test_a_worker_that_was_too_slow_changes_nothing(claims: Claims, results: Results, world: World) -> None:
    account = await world.account()
    await world.due(account, await world.endpoint(account), 1)
    (first,) = await claims.claim(uuid.uuid4(), 10)
    assert await claims.claim(uuid.uuid4(), 10) == []
    await world.skip_waiting()
    (second,) = await claims.claim(uuid.uuid4(), 10)
    assert (first.tries, second.tries) == (1, 2)
    assert (await results.complete([delivered(first)], 0.5)).count == 0
    assert await world.all_are("pending")
    assert (await results.complete([delivered(second)], 0.5)).count == 1
    assert (await results.complete([delivered(second)], 0.5)).count == 0
    assert [(each["number"], each["error"]) for each in await world.attempts()] == [(1, "unknown"), (2, None)]


async def test_a_lease_that_ended_uses_up_no_attempt(claims: Claims, world: World) -> None:
    account = await world.account()
    await world.due(account, await world.endpoint(account), 1)
    for _ in range(12):
        (claimed,) = await claims.claim(uuid.uuid4(), 10)
        await world.skip_waiting()
    assert (claimed.tries, claimed.used_up) == (12, 0)


async def test_a_claim_is_shared_out_among_endpoints(claims: Claims, world: World) -> None:
    account = await world.account()
    crowded = await world.endpoint(account, width=8)
    await world.due(account, crowded, 500)
    quiet = [await world.endpoint(account) for _ in range(20)]
    for endpoint in quiet:
        await world.due(account, endpoint, 1)
    claimed = await claims.claim(uuid.uuid4(), 64)
    assert {each.endpoint for each in claimed} == {crowded, *quiet}
    rest = [each for _ in range(5) for each in await claims.claim(uuid.uuid4(), 64)]
    assert sum(each.endpoint == crowded for each in claimed + rest) == 8
    assert len(claimed + rest) == 28


async def test_workers_claim_different_ones_and_keep_to_the_window(claims: Claims, world: World) -> None:
    account = await world.account()
    endpoint = await world.endpoint(account, width=16)
    await world.due(account, endpoint, 60)
    rounds = [await asyncio.gather(*(claims.claim(uuid.uuid4(), 5) for _ in range(6))) for _ in range(4)]
    ids = [each.id for found in rounds for claimed in found for each in claimed]
    assert len(ids) == len(set(ids)) == 16


async def test_a_window_grows_with_success_and_halves_with_overload(
    claims: Claims, results: Results, world: World
) -> None:
    account = await world.account()
    endpoint = await world.endpoint(account, max_window=6)
    await world.due(account, endpoint, 100)

    async def round(*, overloaded: bool) -> int:
        claimed = await claims.claim(uuid.uuid4(), 64)
        good = [delivered(each) for each in claimed[1:]]
        first = failed(claimed[0], status=429, overloaded=True) if overloaded else delivered(claimed[0])
        await results.complete([first, *good], 0.5)
        return int((await world.state(endpoint))["width"])

    assert [await round(overloaded=False) for _ in range(4)] == [5, 6, 6, 6]
    assert [await round(overloaded=True) for _ in range(2)] == [3, 1]
    assert await round(overloaded=False) == 2


async def test_replayed_ones_get_what_is_left_and_at_most_a_share(
    claims: Claims, results: Results, world: World
) -> None:
    account = await world.account()
    endpoint = await world.endpoint(account, width=16)
    await world.due(account, endpoint, 30)
    await world.pool.execute("update deliveries set lane = 'replay'")
    replayed = {row["id"] for row in await world.deliveries()}
    first = await claims.claim(uuid.uuid4(), 64)
    assert len(first) == 4
    assert await claims.claim(uuid.uuid4(), 64) == []
    await world.due(account, endpoint, 30)
    second = await claims.claim(uuid.uuid4(), 64)
    assert len(second) == 12
    assert not {each.id for each in second} & replayed
    await results.complete([delivered(each) for each in first], 0.5)
    third = await claims.claim(uuid.uuid4(), 64)
    assert not {each.id for each in third} & replayed, "live ones are waiting"


@pytest.mark.parametrize("state", ["paused", "disabled"])
async def test_a_stopped_endpoint_gets_nothing_and_keeps_everything(claims: Claims, world: World, state: str) -> None:
    account = await world.account()
    endpoint = await world.endpoint(account, state=state)
    await world.due(account, endpoint, 3)
    assert await claims.claim(uuid.uuid4(), 64) == []
    await world.pool.execute("update endpoints set state = 'enabled'")
    assert len(await claims.claim(uuid.uuid4(), 64)) == 3


async def test_counts_are_kept_with_every_change(claims: Claims, results: Results, world: World) -> None:
    account = await world.account()
    endpoint = await world.endpoint(account)
    await world.due(account, endpoint, 4)
    one, two, three, four = await claims.claim(uuid.uuid4(), 64)
    await results.complete([delivered(one), delivered(two), failed(three), failed(four)], 0.5)
    state = await world.state(endpoint)
    assert (state["pending"], state["delivered"], state["failures"]) == (2, 2, 2)
    assert state["last_error"] == "status: It answered no."
