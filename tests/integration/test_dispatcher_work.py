"""Lease, take and report on real Postgres: each message is one phone's, once."""

import asyncio
import time

from msgspec.structs import replace

from services.dispatcher.routing import queues_of
from services.dispatcher.states import fold
from services.dispatcher.store.reports import Reports
from services.dispatcher.store.stories import Stories
from services.dispatcher.store.work import Asked, ServedQueue
from shared.contracts.reports import AttemptReported
from shared.contracts.rpc import SessionRef
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, hello, submit_sms


def reported(message: bytes, state: str, device: str, *, at: float | None = None, number: int = 1) -> AttemptReported:
    return AttemptReported(
        account=ACCOUNT,
        device=device,
        message=message,
        number=number,
        state=state,
        at=at or time.time(),  # type: ignore[arg-type]
    )


async def opened(stores: Stores, **changes: object) -> tuple[str, int]:
    greeting = hello(**changes)  # type: ignore[arg-type]
    session = await stores.phones.open_session(greeting)
    assert session is not None
    return greeting.device, session.session


async def message_row(pool: Pool, message: bytes) -> tuple[str, str | None]:
    row = await pool.fetchrow("select state, reason from messages where id = $1", message)
    return row["state"], row["reason"]


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


async def test_an_older_session_may_neither_lease_nor_take(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, old = await opened(stores)
    leased = await stores.lease(device, old)
    assert leased
    _, new = await opened(stores, device=device)
    assert await stores.lease(device, old) is None
    ask = Asked(leased[0].message, 1, device, old, ACCOUNT)
    assert await stores.work.take([ask]) == set()
    again = await stores.lease(device, new)
    assert again
    assert again[0].message == leased[0].message


async def test_a_taken_message_is_never_leased_again(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    ask = Asked(leased[0].message, 1, device, session, ACCOUNT)
    assert await stores.work.take([ask]) == {(leased[0].message, 1)}
    assert await stores.work.take([ask]) == {(leased[0].message, 1)}, "a lost answer may be asked for again"
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
    assert await stores.work.take([Asked(leased[0].message, 1, device, session, ACCOUNT)]) == set()


async def test_taken_work_of_the_same_journal_is_given_again_and_of_another_is_unknown(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    reopened = await stores.phones.open_session(hello(device))
    assert reopened is not None
    assert [(job.message, job.attempt) for job in reopened.again] == [(message, 1)]
    assert await stores.work.take([Asked(message, 1, device, reopened.session, ACCOUNT)]) == {(message, 1)}
    wiped = await stores.phones.open_session(hello(device, journal="journal-2"))
    assert wiped is not None
    assert wiped.again == []
    assert await message_row(pool, message) == ("unknown", "new journal")
    assert await pool.fetchval("select count(*) from work") == 0


async def test_reports_move_an_attempt_up_only_and_tell_each_change_once(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    await pool.execute("delete from outbox")
    for state in ("delivered", "sent", "delivered", "unknown"):
        await reports.fold(fold([reported(message, state, device)]))
    assert (await message_row(pool, message))[0] == "delivered"
    assert await pool.fetchval("select count(*) from work") == 0
    told = [row["type"] for row in await pool.fetch("select type from outbox order by number")]
    assert told == ["sms.sent", "sms.delivered"]


async def test_three_reports_of_each_of_many_messages_in_one_batch(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    await stores.messages.submit([submit_sms(*[f"+1555{n:04}" for n in range(100)])])
    device, session = await opened(stores)
    leased = await stores.lease(device, session, places=100)
    assert leased is not None
    await stores.work.take([Asked(job.message, 1, device, session, ACCOUNT) for job in leased])
    batch = [reported(job.message, state, device) for state in ("delivered", "unknown", "sent") for job in leased]
    await reports.fold(fold(batch))
    assert await pool.fetchval("select count(*) from messages where state = 'delivered'") == 100


async def test_a_report_of_a_phone_that_was_not_given_the_attempt_counts_for_nothing(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    other, _ = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await Reports(pool).fold(fold([reported(message, "sent", device)]))
    assert (await message_row(pool, message))[0] == "queued", "it was leased, but never taken"
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    await Reports(pool).fold(fold([reported(message, "sent", other)]))
    assert await pool.fetchval("select state from work") == "taken"


async def test_concurrent_folders_of_the_same_messages_never_deadlock(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms(*[f"+1555{n:04}" for n in range(200)])])
    device, session = await opened(stores)
    leased = await stores.lease(device, session, places=100)
    assert leased is not None
    await stores.work.take([Asked(job.message, 1, device, session, ACCOUNT) for job in leased])
    sent = fold([reported(job.message, "sent", device) for job in leased])
    delivered = fold([reported(job.message, "delivered", device) for job in reversed(leased)])
    await asyncio.gather(*(Reports(pool).fold(rows) for _ in range(10) for rows in (sent, delivered)))
    assert await pool.fetchval("select count(*) from messages where state = 'delivered'") == 100


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


async def test_what_a_silent_phone_took_is_unknown_until_it_reports(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    assert await stores.work.mark_silent() == 0
    await pool.execute("update work set taken_at = now() - interval '11 minutes'")
    await pool.execute("update devices set last_seen_at = now() - interval '11 minutes'")
    assert await stores.work.mark_silent() == 1
    assert await message_row(pool, message) == ("unknown", "silent")
    assert await stores.work.mark_silent() == 0
    await Reports(pool).fold(fold([reported(message, "sent", device)]))
    assert (await message_row(pool, message))[0] == "sent"
    assert await pool.fetchval("select count(*) from work") == 0


async def test_renewing_names_the_sessions_that_are_no_longer_the_newest(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, old = await opened(stores)
    other, other_session = await opened(stores)
    _, new = await opened(stores, device=device)
    refs = [SessionRef(device, old), SessionRef(other, other_session)]
    assert await stores.phones.renew(refs) == [SessionRef(device, old)]
    assert await stores.phones.renew([SessionRef(device, new)]) == []


async def test_another_accounts_hello_does_not_get_the_device(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, _ = await opened(stores)
    assert await stores.phones.open_session(hello(device, account=ACCOUNT + 1)) is None


async def test_a_carrier_failure_is_tried_four_times_on_any_phone_and_then_failed(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    await stores.messages.submit([submit_sms("+1")])
    for number in range(1, 5):
        device, session = await opened(stores)
        leased = await stores.lease(device, session)
        assert leased
        message = leased[0].message
        assert leased[0].attempt == number
        await stores.work.take([Asked(message, number, device, session, ACCOUNT)])
        await reports.fold(fold([reported(message, "failed", device, number=number)]))
        await pool.execute("update work set due = now() where state = 'later'")
        await stores.work.make_due_ready()
    assert (await message_row(pool, message))[0] == "failed"
    assert await pool.fetchval("select count(*) from work") == 0
    assert await pool.fetchval("select count(*) from outbox where type = 'sms.failed'") == 1
    assert await pool.fetchval("select count(*) from history where state = 'failed'") == 4


async def test_a_partly_sent_text_is_tried_again_by_the_same_sim_only(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    other, other_session = await opened(stores)
    leased = await stores.lease(device, session, slot=2)
    await stores.lease(device, session, slot=1, places=0)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    failed = replace(reported(message, "failed", device), reason="partly_sent")
    await Reports(pool).fold(fold([failed]))
    await pool.execute("update work set due = now() where state = 'later'")
    await stores.work.make_due_ready()
    assert await stores.lease(other, other_session) == []
    assert await stores.lease(device, session, slot=1) == []
    again = await stores.lease(device, session, slot=2)
    assert again
    assert again[0].attempt == 2


async def test_a_permanent_error_is_not_tried_again(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    await Reports(pool).fold(fold([replace(reported(message, "failed", device), reason="invalid_number")]))
    assert await message_row(pool, message) == ("failed", "invalid_number")
    assert await pool.fetchval("select count(*) from work") == 0


async def test_a_late_sending_withdraws_a_retry_that_nobody_has_taken(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    await reports.fold(fold([reported(message, "failed", device)]))
    assert await pool.fetchval("select state from work") == "later"
    await reports.fold(fold([reported(message, "delivered", device)]))
    assert (await message_row(pool, message))[0] == "delivered"
    assert await pool.fetchval("select count(*) from work") == 0


async def test_a_canceled_message_can_be_sent_again_and_a_waiting_one_not(pool: Pool) -> None:
    stores = await Stores.on(pool)
    stories = Stories(pool)
    command = submit_sms("+1")
    message = command.recipients[0].id
    await stores.messages.submit([command])
    assert (await stories.resend(message, ACCOUNT, force=False))[0] == "not_in_error"
    assert await stories.cancel(message, ACCOUNT + 1) == "not_found"
    assert await stories.cancel(message, ACCOUNT) == "canceled"
    assert await stories.cancel(message, ACCOUNT) == "too_late"
    assert (await stories.resend(message, ACCOUNT + 1, force=False))[0] == "not_found"
    assert (await stories.resend(message, ACCOUNT, force=False))[0] == "resent"
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    assert (leased[0].message, leased[0].attempt) == (message, 2)


async def test_an_unknown_message_is_sent_again_only_by_force(pool: Pool) -> None:
    stores = await Stores.on(pool)
    stories = Stories(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    await pool.execute("update work set taken_at = now() - interval '1 hour'")
    await pool.execute("update devices set last_seen_at = now() - interval '1 hour'")
    await stores.work.mark_silent()
    assert (await stories.resend(message, ACCOUNT, force=False))[0] == "not_in_error"
    assert (await stories.resend(message, ACCOUNT, force=True))[0] == "resent"
    again = await stores.lease(device, session)
    assert again
    assert again[0].attempt == 2


async def test_deleting_hides_at_once_cancels_what_waits_and_blanks_later(pool: Pool) -> None:
    stores = await Stores.on(pool)
    stories = Stories(pool)
    now = time.time()
    waiting, old = submit_sms("+1", text="secret"), submit_sms("+2")
    await stores.messages.submit([waiting, old])
    assert await stories.delete_sent(ACCOUNT + 1, waiting.recipients[0].id) == 0
    assert await stories.delete_sent(ACCOUNT, waiting.recipients[0].id) == 1
    assert await stories.delete_sent(ACCOUNT, waiting.recipients[0].id) == 0
    assert await message_row(pool, waiting.recipients[0].id) == ("canceled", "deleted")
    assert await pool.fetchval("select count(*) from work") == 1
    assert await stories.delete_between(ACCOUNT, now - 3600, now + 3600) == 1
    await stories.blank_deleted()
    assert await pool.fetchval("select count(*) from messages where text = ''") == 0
    long_ago = "now() - interval '2 days'"
    await pool.execute(f"update messages set deleted_at = {long_ago}, ended_at = {long_ago}")
    await stories.blank_deleted()
    assert await pool.fetchval("select count(*) from messages where text = ''") == 2


async def test_a_late_sending_of_a_failed_attempt_ends_the_message_without_another_try(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.work.take([Asked(message, 1, device, session, ACCOUNT)])
    await pool.execute("delete from outbox")
    await reports.fold(fold([reported(message, "failed", device)]))
    await reports.fold(fold([reported(message, "sent", device)]))
    assert (await message_row(pool, message))[0] == "failed", "failed is the stronger word on this attempt"
    assert await pool.fetchval("select count(*) from work") == 0
    told = [row["type"] for row in await pool.fetch("select type from outbox order by id")]
    assert sorted(told) == ["sms.failed", "sms.sent"]


async def test_one_lease_fills_both_sims_and_priority_counts_on_each(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    await stores.messages.submit(
        [submit_sms("+1", "+2", "+3", "+4"), submit_sms("+5", sim=2), submit_sms("+6", priority=5)]
    )
    keys = queues_of(ACCOUNT, device, [1, 2], ["sms"])
    queues = await stores.messages.intern(keys)
    served = [ServedQueue(queue, key.sim) for queue, key in zip(queues, keys, strict=True)]
    leased = await stores.work.lease(ACCOUNT, device, session, {1: 2, 2: 2}, served)
    assert leased is not None
    assert sorted(job.sim for job in leased) == [1, 1, 2, 2]
    assert leased[0].recipient == "+6"
    assert next(job.sim for job in leased if job.recipient == "+5") == 2
    again = await stores.work.lease(ACCOUNT, device, session, {1: 2, 2: 2}, served)
    assert again is not None
    assert {job.message for job in again} == {job.message for job in leased}


async def test_a_removed_phone_loses_its_work_and_what_is_pinned_to_it_fails(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    other, other_session = await opened(stores)
    taken, pinned, free = submit_sms("+1"), submit_sms("+2", device=device), submit_sms("+3")
    await stores.messages.submit([taken])
    leased = await stores.lease(device, session)
    assert leased
    await stores.work.take([Asked(leased[0].message, 1, device, session, ACCOUNT)])
    await stores.messages.submit([pinned, free])
    assert await stores.lease(device, session, places=1)
    assert await stores.phones.remove(ACCOUNT + 1, device) is None
    assert await stores.phones.remove(ACCOUNT, device) is not None
    assert await stores.phones.remove(ACCOUNT, device) is None
    assert await message_row(pool, taken.recipients[0].id) == ("unknown", "device removed")
    assert await message_row(pool, pinned.recipients[0].id) == ("failed", "device_removed")
    assert await stores.lease(device, session) is None
    assert await stores.phones.open_session(hello(device)) is None
    again = await stores.lease(other, other_session)
    assert again
    assert [job.recipient for job in again] == ["+3"]
    late = submit_sms("+4", device=device)
    await stores.messages.submit([late])
    assert await stores.phones.fail_orphaned() == 1
    assert await Stories(pool).resend(late.recipients[0].id, ACCOUNT, force=False) == ("not_in_error", None)


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
