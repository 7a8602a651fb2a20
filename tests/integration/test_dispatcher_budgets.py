"""Budgets of SIMs on real Postgres: charged with the lease, given back only untaken, never exceeded in any span."""

import asyncio
import datetime as dt
import random
from collections import defaultdict

import pytest

from services.dispatcher.budgets import SPANS, Limits
from services.dispatcher.routing import queues_of
from services.dispatcher.store.budgets import Budgets
from services.dispatcher.store.leases import Asked, Leases, ServedQueue
from services.dispatcher.store.stories import Stories
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, hello, opened, submit_sms
from tests.support.scale import scaled

NO_DELAY = (0, 0)
TWO_PARTS = "x" * 200


async def limited(pool: Pool, stores: Stores, **limits: int) -> tuple[str, int]:
    """A phone whose SIMs have these limits, and its session."""
    device, session = await opened(stores)
    assert await Budgets(pool).set(ACCOUNT, device, None, Limits(**limits), None) == 2
    return device, session


async def take_all(stores: Stores, device: str, session: int) -> int:
    """Leases and takes what there is for SIM 1; how many."""
    leased = await stores.lease(device, session, places=100) or []
    asked = [Asked(job.message, job.attempt, device, session, ACCOUNT) for job in leased]
    return len(await stores.leases.take(asked)) if asked else 0


async def test_a_lease_gives_no_more_parts_than_are_left(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await limited(pool, stores, per_minute=5)
    await stores.messages.submit([submit_sms(f"+1{n}", text=TWO_PARTS) for n in range(4)])
    leased = await stores.lease(device, session)
    assert leased
    assert len(leased) == 2, "five parts have room for two texts of two"
    assert len(await stores.lease(device, session) or []) == 2, "the same two again, and no more"


async def test_a_lease_that_was_not_taken_costs_nothing(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await limited(pool, stores, per_minute=3)
    command = submit_sms("+1", "+2", "+3", "+4", "+5")
    await stores.messages.submit([command])
    assert len(await stores.lease(device, session) or []) == 3
    await stores.phones.close_session(ACCOUNT, device, session)
    opened_again = await stores.phones.open_session(hello(device))
    assert opened_again
    assert len(await stores.lease(device, opened_again.session) or []) == 3
    leased = await stores.lease(device, opened_again.session) or []
    await Stories(pool).cancel(leased[0].message, ACCOUNT)
    assert len(await stores.lease(device, opened_again.session) or []) == 3, "what was canceled makes room"


async def test_what_was_taken_counts_until_the_span_is_over(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await limited(pool, stores, per_minute=3)
    await stores.messages.submit([submit_sms(*[f"+1{n}" for n in range(10)])])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    now = start
    stores.leases = Leases(pool, lambda: now)
    assert await take_all(stores, device, session) == 3
    for seconds, expected in ((30, 0), (59, 0), (65, 3), (90, 0), (131, 3)):
        now = start + dt.timedelta(seconds=seconds)
        assert await take_all(stores, device, session) == expected, f"after {seconds} s"


async def test_taking_twice_is_charged_once(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await limited(pool, stores, per_day=2)
    await stores.messages.submit([submit_sms("+1", "+2", "+3")])
    leased = await stores.lease(device, session)
    assert leased
    asked = [Asked(leased[0].message, 1, device, session, ACCOUNT)]
    for _ in range(3):
        assert await stores.leases.take(asked)
    (budget, _) = await Budgets(pool).of_phones(ACCOUNT, [device])
    assert budget.used.per_day == 1


async def test_a_text_that_no_budget_ever_has_room_for_stands_in_nobodys_way(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await limited(pool, stores, per_minute=1)
    await stores.messages.submit([submit_sms("+1", text=TWO_PARTS, priority=9), submit_sms("+2")])
    leased = await stores.lease(device, session)
    assert leased
    assert [job.recipient for job in leased] == ["+2"]


async def test_a_long_text_waits_for_room_and_is_not_overtaken(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await limited(pool, stores, per_minute=2)
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    stores.leases = Leases(pool, lambda: now)
    await stores.messages.submit([submit_sms("+1")])
    assert await take_all(stores, device, session) == 1
    await stores.messages.submit([submit_sms("+2", text=TWO_PARTS, priority=1), submit_sms("+3")])
    assert await take_all(stores, device, session) == 0
    now += dt.timedelta(seconds=70)
    leased = await stores.lease(device, session)
    assert [job.recipient for job in leased or []] == ["+2"]


async def test_one_full_sim_leaves_its_neighbour_alone(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    await Budgets(pool).set(ACCOUNT, device, 1, Limits(per_minute=1), None)
    await stores.messages.submit([submit_sms(*[f"+1{n}" for n in range(6)])])
    keys = queues_of(ACCOUNT, device, [1, 2], ["sms"])
    served = [ServedQueue(queue, key.sim) for queue, key in zip(await stores.queues.intern(keys), keys, strict=True)]
    leased = await stores.leases.lease(ACCOUNT, device, session, {1: 5, 2: 5}, served)
    assert leased
    assert sorted(job.sim for job in leased) == [1, 2, 2, 2, 2, 2]


async def test_the_rest_between_two_sends_is_drawn_from_the_range(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    await Budgets(pool).set(ACCOUNT, device, 1, Limits(), (2000, 5000))
    await stores.messages.submit([submit_sms(*[f"+1{n}" for n in range(20)])])
    leased = await stores.lease(device, session, places=20)
    assert leased
    waits = {job.wait_ms for job in leased}
    assert len(waits) > 1
    assert all(2000 <= wait <= 5000 for wait in waits)


@pytest.mark.parametrize(("protocol", "expected"), [("smsgate", 2), ("socket", 0)])
async def test_only_phones_of_the_apps_protocol_begin_with_budgets(pool: Pool, protocol: str, expected: int) -> None:
    stores = await Stores.on(pool)
    device, _ = await opened(stores, protocol=protocol)
    assert len(await Budgets(pool).of_phones(ACCOUNT, [device])) == expected


async def test_a_limit_can_be_changed_and_taken_away_and_another_account_may_not(pool: Pool) -> None:
    stores = await Stores.on(pool)
    budgets = Budgets(pool)
    device, session = await limited(pool, stores, per_minute=1, per_day=5)
    assert await budgets.set(ACCOUNT + 1, device, None, Limits(per_minute=9), None) is None
    assert await budgets.set(ACCOUNT, device, 1, Limits(per_minute=0), (1, 2)) == 1
    one, two = await budgets.of_phones(ACCOUNT, [device])
    assert (one.limits, one.delay_ms) == (Limits(None, None, 5), (1, 2))
    assert (two.limits, two.delay_ms) == (Limits(1, None, 5), NO_DELAY)
    assert await budgets.set(ACCOUNT, device, None, Limits(0, 0, 0), None) == 2
    await stores.messages.submit([submit_sms(*[f"+1{n}" for n in range(9)])])
    assert len(await stores.lease(device, session) or []) == 9


@pytest.mark.timeout(600)
async def test_two_dispatchers_and_eight_phones_never_exceed_a_budget(pool: Pool) -> None:
    """Leases, takes, lost answers and broken sessions at simulated times, held to every span by what phones took."""
    texts = scaled(small=500, one=1500, full=20_000)
    stores = await Stores.on(pool)
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    dispatchers = [Leases(pool, lambda: now) for _ in range(2)]
    limits = Limits(per_minute=8, per_hour=200, per_day=1500)
    phones = {}
    for _ in range(8):
        device, session = await opened(stores)
        await Budgets(pool).set(ACCOUNT, device, None, limits, None)
        phones[device] = session
    for start in range(0, texts, 500):
        await stores.messages.submit(
            [submit_sms(f"+1{start + n:06}", text=TWO_PARTS if n % 7 == 0 else "hi") for n in range(500)]
        )
    chance = random.Random(7)
    taken: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
    performed: set[bytes] = set()
    parts = {row["message_id"]: row["parts"] for row in await pool.fetch("select message_id, parts from work")}

    async def ask(device: str, dispatcher: Leases) -> None:
        keys = queues_of(ACCOUNT, device, [1, 2], ["sms"])
        served = [
            ServedQueue(queue, key.sim) for queue, key in zip(await stores.queues.intern(keys), keys, strict=True)
        ]
        session = phones[device]
        leased = await dispatcher.lease(ACCOUNT, device, session, {1: 6, 2: 6}, served)
        some = [job for job in leased or [] if chance.random() < 0.8]
        asked = [Asked(job.message, job.attempt, device, session, ACCOUNT) for job in some]
        granted = await dispatcher.take(asked) if asked else set()
        for job in some:
            # Both dispatchers may name the same taking; the radio performs it once.
            if (job.message, job.attempt) in granted and job.message not in performed:
                performed.add(job.message)
                taken[device, job.sim].append((now.timestamp(), parts[job.message]))

    steps = 0
    while await pool.fetchval("select exists (select from work where state in ('ready', 'leased'))") and steps < 4000:
        steps += 1
        now += dt.timedelta(seconds=chance.choice([0, 1, 3, 7, 20]))
        if steps % 40 == 0:
            now += dt.timedelta(minutes=chance.choice([5, 40]))
        if steps % 200 == 0:
            now += dt.timedelta(hours=9)
        chosen = chance.sample(list(phones), 4)
        # Both dispatchers are asked at once for the same phone, as when an answer was lost on its way.
        await asyncio.gather(*(ask(device, dispatcher) for device in chosen for dispatcher in dispatchers))
        if chance.random() < 0.05:
            device = chance.choice(list(phones))
            again = await stores.phones.open_session(hello(device))
            assert again is not None
            phones[device] = again.session
    assert len(performed) == texts, f"after {steps} steps"
    for sim, times in taken.items():
        for span, most in zip(SPANS, limits, strict=True):
            assert most is not None
            assert _most_in_any(times, span.seconds) <= most, (sim, span.name)


def _most_in_any(times: list[tuple[float, int]], seconds: int) -> int:
    """The most parts in any stretch of so many seconds."""
    times.sort()
    most = held = first = 0
    for at, parts in times:
        held += parts
        while times[first][0] <= at - seconds:
            held -= times[first][1]
            first += 1
        most = max(most, held)
    return most
