"""The life of a delivery and of an endpoint in trouble, walked through by a clock that the test moves."""

import uuid
from collections.abc import AsyncIterator

import pytest

from services.webhooks.breaker import FAILURES_IN_A_ROW, FIRST_PROBE_S, LONGEST_PROBE_S
from services.webhooks.client import Outcome
from services.webhooks.delivery import judged
from services.webhooks.schedule import HORIZON_S, JITTER
from services.webhooks.store.claims import Claimed, Claims
from services.webhooks.store.endpoints import Endpoints
from services.webhooks.store.results import Results
from services.webhooks.store.upkeep import Upkeep
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.clock import DatabaseClock, standing_still
from tests.support.webhooks import World

STEPS = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
DAY = 86_400
REFUSED = Outcome(status=500, error="status", detail="It answered HTTP 500.")
AWAY = Outcome(error="connect", detail="It cannot be reached.")
SLOW = Outcome(error="timeout", detail="It did not answer in time.", duration_ms=15_000)
TAKEN = Outcome(status=200)
GONE = Outcome(status=410, error="gone", detail="It answered HTTP 410.")


class Walk:
    """One worker on a database whose clock stands still."""

    def __init__(self, clock: DatabaseClock, world: World) -> None:
        self.clock = clock
        self.world = world
        self.claims = Claims(clock.pool)
        self.results = Results(clock.pool)

    async def claim(self) -> list[Claimed]:
        return await self.claims.claim(uuid.uuid4(), 64)

    async def end(self, claimed: Claimed, outcome: Outcome, chance: float = 0.5) -> None:
        await self.results.complete([judged(claimed, outcome, lambda: chance)], chance)

    async def all(self, outcome: Outcome) -> int:
        """Everything that can be claimed now ends so, one after the other."""
        claimed = await self.claim()
        for each in claimed:
            await self.end(each, outcome)
        return len(claimed)

    async def break_it(self, endpoint: str) -> None:
        """Failures until the breaker is open."""
        for _ in range(40):
            if (await self.world.state(endpoint))["width"] == 0:
                return
            await self.all(AWAY)
            await self.clock.forward(1)
        raise AssertionError("the breaker stayed closed")


@pytest.fixture
async def walk(settings: ServiceSettings, pool: Pool) -> AsyncIterator[Walk]:
    async with standing_still(settings, pool) as clock:
        yield Walk(clock, await World.on(clock.pool, Vault(SECRET)))


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
async def test_a_refused_event_walks_the_whole_schedule_and_is_kept(walk: Walk, chance: float) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account)
    await walk.world.due(account, endpoint, 2)
    refused, other = await walk.claim()
    await walk.end(other, TAKEN)
    for step in STEPS:
        await walk.end(refused, REFUSED, chance)
        # Its endpoint takes others meanwhile, so that the fault is this one's own.
        await walk.world.due(account, endpoint, 1)
        assert await walk.all(TAKEN) == 1
        wait = step * (1 - JITTER + 2 * JITTER * chance)
        await walk.clock.forward(wait - 0.001)
        assert await walk.claim() == [], f"too early after {step} s"
        await walk.clock.forward(0.002)
        (refused,) = await walk.claim()
    await walk.end(refused, REFUSED, chance)
    (row,) = await walk.world.pool.fetch("select * from deliveries where state <> 'delivered'")
    assert (row["state"], row["attempts"], row["tries"]) == ("exhausted", 10, 10)
    assert (row["last_error"], row["ended_at"] is not None) == ("status: It answered HTTP 500.", True)
    state = await walk.world.state(endpoint)
    assert (state["pending"], state["exhausted"], state["delivered"]) == (0, 1, 1 + len(STEPS))
    assert ("endpoint.failing", endpoint) in await walk.world.told()


async def test_retry_after_is_honoured_within_the_horizon(walk: Walk) -> None:
    account = await walk.world.account()
    await walk.world.due(account, await walk.world.endpoint(account), 1)
    (claimed,) = await walk.claim()
    await walk.end(claimed, Outcome(status=429, error="status", retry_after_s=3600))
    await walk.clock.forward(3599)
    assert await walk.claim() == []
    await walk.clock.forward(1)
    (claimed,) = await walk.claim()
    await walk.end(claimed, Outcome(status=503, error="status", retry_after_s=1e9))
    await walk.clock.forward(HORIZON_S - 3600)
    assert len(await walk.claim()) == 1


async def test_ten_failures_in_a_row_open_the_breaker_and_then_nothing_is_used_up(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account, width=32)
    await walk.world.due(account, endpoint, 50)
    claimed = await walk.claim()
    for each in claimed[: FAILURES_IN_A_ROW - 1]:
        await walk.end(each, REFUSED)
    assert (await walk.world.state(endpoint))["width"] > 0
    await walk.end(claimed[FAILURES_IN_A_ROW - 1], REFUSED)
    state = await walk.world.state(endpoint)
    assert (state["width"], state["failing_since"] is not None) == (0, True)
    for each in claimed[FAILURES_IN_A_ROW:]:
        await walk.end(each, REFUSED)
    assert sum(each["attempts"] for each in await walk.world.deliveries()) == FAILURES_IN_A_ROW
    assert await walk.world.told() == [("endpoint.failing", endpoint)]
    assert await walk.world.all_are("pending")


async def test_nine_of_ten_failures_in_a_minute_open_it_too(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account, width=32)
    await walk.world.due(account, endpoint, 20)
    claimed = await walk.claim()
    for number, each in enumerate(claimed[:10]):
        assert (await walk.world.state(endpoint))["width"] > 0
        await walk.end(each, TAKEN if number == 4 else REFUSED)
    assert (await walk.world.state(endpoint))["width"] == 0


async def test_probes_go_out_ever_more_seldom_each_with_another_event(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account)
    await walk.world.due(account, endpoint, 60)
    await walk.break_it(endpoint)
    await walk.clock.forward(FIRST_PROBE_S)
    probed, waits = [], []
    for _ in range(12):
        (probe,) = await walk.claim()
        assert await walk.claim() == [], "one at a time"
        await walk.end(probe, AWAY)
        probed.append(probe.id)
        state = await walk.world.state(endpoint)
        waits.append((state["probe_at"] - await walk.clock.now()).total_seconds())
        await walk.clock.forward(waits[-1] - 0.001)
        assert await walk.claim() == []
        await walk.clock.forward(0.002)
    assert waits[:3] == [2 * FIRST_PROBE_S, 4 * FIRST_PROBE_S, 8 * FIRST_PROBE_S]
    assert waits[-1] == LONGEST_PROBE_S
    assert len(set(probed)) == len(probed), "an event that is always refused does not keep the breaker open"
    assert max(each["attempts"] for each in await walk.world.deliveries()) <= 1


async def test_what_was_parked_drains_with_a_slow_start_and_its_owner_hears_of_both(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account, width=32)
    await walk.world.due(account, endpoint, 200)
    await walk.break_it(endpoint)
    await walk.clock.forward(3 * DAY)
    sizes = []
    while size := await walk.all(TAKEN):
        sizes.append(size)
    assert sizes[0] == 1, "the probe"
    assert sizes[1:4] == [1, 2, 4], "each success makes room for one more"
    assert max(sizes) == 32
    assert await walk.world.all_are("delivered")
    assert await walk.world.told() == [("endpoint.failing", endpoint), ("endpoint.recovered", endpoint)]
    state = await walk.world.state(endpoint)
    assert (state["failing_since"], state["failures_in_row"], state["pending"]) == (None, 0, 0)


async def test_five_days_of_nothing_but_failure_disable_it_and_enabling_drains_it(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account)
    await walk.world.due(account, endpoint, 30)
    await walk.break_it(endpoint)
    upkeep = Upkeep(walk.clock.pool)
    await walk.clock.forward(5 * DAY - 60)
    assert await upkeep.disable_dead() == []
    await walk.clock.forward(120)
    assert await upkeep.disable_dead() == [endpoint]
    assert await upkeep.disable_dead() == []
    assert await walk.world.told() == [("endpoint.failing", endpoint), ("endpoint.disabled", endpoint)]
    (shown,) = await Endpoints(walk.clock.pool).shown(account, endpoint)
    assert (shown.state, shown.enabled, shown.pending) == ("disabled", False, 30)
    assert shown.reason == "It has failed for 5 days: It cannot be reached."
    await walk.clock.forward(3600)
    assert await walk.claim() == []
    assert await walk.world.all_are("pending")
    assert await Endpoints(walk.clock.pool).enable(account, endpoint)
    sizes = []
    while size := await walk.all(TAKEN):
        sizes.append(size)
    assert sizes[0] == 1
    assert await walk.world.all_are("delivered")


async def test_an_endpoint_that_says_it_is_gone_is_disabled_at_once(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account)
    await walk.world.due(account, endpoint, 2)
    first, _ = await walk.claim()
    await walk.end(first, GONE)
    assert await walk.world.told() == [("endpoint.disabled", endpoint)]
    assert await walk.world.pool.fetchval("select state from endpoints") == "disabled"
    await walk.clock.forward(DAY)
    assert await walk.claim() == []
    assert await walk.world.all_are("pending")


async def test_its_owner_is_warned_within_minutes_also_with_a_single_event(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account)
    await walk.world.due(account, endpoint, 1)
    for _ in range(3 * 60):
        await walk.all(AWAY)
        if await walk.world.told():
            break
        await walk.clock.forward(1)
    assert await walk.world.told() == [("endpoint.failing", endpoint)]
    (row,) = await walk.world.deliveries()
    assert row["attempts"] == 0, "an unreachable receiver says nothing about the event"


async def test_an_event_whose_endpoint_takes_nothing_is_never_given_up(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account)
    await walk.world.due(account, endpoint, 1)
    await walk.world.pool.execute("update deliveries set attempts = 9, first_attempt_at = now()")
    (claimed,) = await walk.claim()
    await walk.end(claimed, REFUSED)
    (row,) = await walk.world.deliveries()
    assert (row["state"], row["attempts"]) == ("pending", 10)


async def test_an_endpoint_that_does_not_answer_in_time_gets_less_at_once(walk: Walk) -> None:
    account = await walk.world.account()
    endpoint = await walk.world.endpoint(account, width=8)
    await walk.world.due(account, endpoint, 100)
    sizes = []
    for _ in range(3):
        claimed = await walk.claim()
        sizes.append(len(claimed))
        await walk.results.complete([judged(each, SLOW, lambda: 0.5) for each in claimed], 0.5)
    assert sizes == [8, 4, 0], "half as many, and with more than ten of them it is open"
