"""Submit, lease, take and what the clock does on real Postgres: each message is one phone's, once."""

import asyncio
import time

from services.dispatcher.routing import queues_of
from services.dispatcher.store.leases import Asked, ServedQueue
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, hello, message_row, opened, submit_sms


async def test_a_command_stored_twice_is_one_message(pool: Pool) -> None:
    stores = await Stores.on(pool)
    command = submit_sms("+15550001", "+15550002")
    first = await stores.messages.submit([command])
    again = await stores.messages.submit([command])
    assert [count.messages for count in first] == [2]
    assert again == []
    assert await pool.fetchval("select count(*) from messages") == 2
    assert await pool.fetchval("select count(*) from work") == 2
    assert await pool.fetchval("select count(*) from outbox") == 2


async def test_a_bulk_request_does_not_stand_before_another_submitter(pool: Pool) -> None:
    stores = await Stores.on(pool)
    bulk = submit_sms(*[f"+1555{n:04}" for n in range(50)])
    single = submit_sms("+19990001", submitter="key_b")
    await stores.messages.submit([bulk])
    await stores.messages.submit([single])
    device, session = await opened(stores)
    leased = await stores.lease(device, session, places=3)
    assert leased is not None
    assert "+19990001" in [job.recipient for job in leased]


async def test_priority_goes_first_and_equal_ones_in_order(pool: Pool) -> None:
    stores = await Stores.on(pool)
    for number in range(5):
        await stores.messages.submit([submit_sms(f"+1555000{number}")])
    await stores.messages.submit([submit_sms("+15559999", priority=9)])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased is not None
    assert [job.recipient for job in leased] == ["+15559999"] + [f"+1555000{number}" for number in range(5)]


async def test_many_phones_leasing_at_once_share_the_work_without_overlap(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms(*[f"+1555{n:04}" for n in range(60)])])
    phones = [await opened(stores) for _ in range(6)]
    leases = await asyncio.gather(*(stores.lease(device, session) for device, session in phones))
    messages = [job.message for lease in leases if lease for job in lease]
    assert len(messages) == len(set(messages)) == 60


async def test_a_lease_asked_for_again_gives_the_same_and_no_more(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1", "+2", "+3")])
    device, session = await opened(stores)
    first = await stores.lease(device, session, places=2)
    again = await stores.lease(device, session, places=2)
    assert first is not None
    assert len(first) == 2
    assert again == first


async def test_work_pinned_to_a_phone_or_sim_goes_nowhere_else(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    other, other_session = await opened(stores)
    await stores.messages.submit([submit_sms("+1", device=device, sim=2)])
    assert await stores.lease(other, other_session, slot=2) == []
    assert await stores.lease(device, session, slot=1) == []
    leased = await stores.lease(device, session, slot=2)
    assert leased is not None
    assert [job.recipient for job in leased] == ["+1"]


async def test_a_taken_message_is_never_leased_again(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    ask = Asked(leased[0].message, 1, device, session, ACCOUNT)
    assert await stores.leases.take([ask]) == {(leased[0].message, 1)}
    assert await stores.leases.take([ask]) == {(leased[0].message, 1)}, "a lost answer may be asked for again"
    await pool.execute("update devices set renewed_at = now() - interval '1 hour'")
    await stores.work.end_lapsed_leases()
    other, other_session = await opened(stores)
    assert await stores.lease(other, other_session) == []


async def test_an_untaken_lease_of_a_silent_phone_goes_to_another(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    assert await stores.work.end_lapsed_leases() == []
    await pool.execute("update devices set renewed_at = now() - interval '31 seconds'")
    freed = await stores.work.end_lapsed_leases()
    assert freed is not None
    assert [count.messages for count in freed] == [1]
    other, other_session = await opened(stores)
    assert await stores.lease(other, other_session)
    assert await stores.leases.take([Asked(leased[0].message, 1, device, session, ACCOUNT)]) == set()


async def test_scheduled_work_waits_and_outdated_work_expires(pool: Pool) -> None:
    stores = await Stores.on(pool)
    now = time.time()
    later = submit_sms("+1", scheduled_at=now + 3600, valid_until=now + 7200)
    outdated = submit_sms("+2", accepted_at=now - 100, scheduled_at=now - 100, valid_until=now - 1)
    await stores.messages.submit([later, outdated])
    device, session = await opened(stores)
    assert await stores.lease(device, session) == []
    assert await stores.work.make_due_ready() == []
    assert await stores.work.expire() == 1
    assert (await message_row(pool, outdated.recipients[0].id))[0] == "expired"
    await pool.execute("update work set due = now() - interval '1 second'")
    ready = await stores.work.make_due_ready()
    assert ready is not None
    assert [count.messages for count in ready] == [1]
    assert await stores.lease(device, session) != []


async def test_one_lease_fills_both_sims_and_priority_counts_on_each(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    await stores.messages.submit(
        [submit_sms("+1", "+2", "+3", "+4"), submit_sms("+5", sim=2), submit_sms("+6", priority=5)]
    )
    keys = queues_of(ACCOUNT, device, [1, 2], ["sms"])
    queues = await stores.queues.intern(keys)
    served = [ServedQueue(queue, key.sim) for queue, key in zip(queues, keys, strict=True)]
    leased = await stores.leases.lease(ACCOUNT, device, session, {1: 2, 2: 2}, served)
    assert leased is not None
    assert sorted(job.sim for job in leased) == [1, 1, 2, 2]
    assert leased[0].recipient == "+6"
    assert next(job.sim for job in leased if job.recipient == "+5") == 2
    again = await stores.leases.lease(ACCOUNT, device, session, {1: 2, 2: 2}, served)
    assert again is not None
    assert {job.message for job in again} == {job.message for job in leased}


async def test_a_suspended_account_s_work_is_held(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await pool.execute(
        "insert into accounts (id, name, status) overriding system value values ($1, 'held', 'suspended')", ACCOUNT
    )
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    assert await stores.lease(device, session) == []
    await pool.execute("update accounts set status = 'active'")
    assert await stores.lease(device, session) != []


async def test_thousands_due_in_one_second_become_ready_without_a_stall(pool: Pool) -> None:
    stores = await Stores.on(pool)
    due = time.time() + 3600
    for _ in range(5):
        await stores.messages.submit([submit_sms(*[f"+1555{n:04}" for n in range(1000)], scheduled_at=due)])
    await pool.execute("update work set due = now()")
    begun = time.monotonic()
    while ready := await stores.work.make_due_ready():
        assert sum(count.messages for count in ready) <= 1000
    took = time.monotonic() - begun
    print(f"\n  5,000 due at once were ready in {took:.2f} s")
    assert await pool.fetchval("select count(*) from work where state = 'ready'") == 5000
    assert took < 9, "three times the promised 3 s"


async def test_media_travels_with_its_message(pool: Pool) -> None:
    stores = await Stores.on(pool)
    url = "https://media.example/a.jpg"
    await stores.messages.submit([submit_sms("+1", media_url=url), submit_sms("+2")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased is not None
    assert {(job.recipient, job.media_url) for job in leased} == {("+1", url), ("+2", None)}
    await stores.leases.take([Asked(job.message, 1, device, session, ACCOUNT) for job in leased])
    again = await stores.phones.open_session(hello(device=device))
    assert again is not None
    assert {(job.recipient, job.media_url) for job in again.again} == {("+1", url), ("+2", None)}
