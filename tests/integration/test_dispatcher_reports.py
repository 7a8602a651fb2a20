"""Reports folded on real Postgres: the strongest word counts, each change is told once, a failure is tried again."""

import asyncio

import pytest
from msgspec.structs import replace

from services.dispatcher.states import fold
from services.dispatcher.store.leases import Asked
from services.dispatcher.store.reports import Reports
from services.dispatcher.store.stories import Stories
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, message_row, opened, reported, submit_sms, taken_one


async def test_reports_move_an_attempt_up_only_and_tell_each_change_once(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    device, _, message = await taken_one(stores)
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
    await stores.leases.take([Asked(job.message, 1, device, session, ACCOUNT) for job in leased])
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
    await stores.leases.take([Asked(message, 1, device, session, ACCOUNT)])
    await Reports(pool).fold(fold([reported(message, "sent", other)]))
    assert await pool.fetchval("select state from work") == "taken"


async def test_concurrent_folders_of_the_same_messages_never_deadlock(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms(*[f"+1555{n:04}" for n in range(200)])])
    device, session = await opened(stores)
    leased = await stores.lease(device, session, places=100)
    assert leased is not None
    await stores.leases.take([Asked(job.message, 1, device, session, ACCOUNT) for job in leased])
    sent = fold([reported(job.message, "sent", device) for job in leased])
    delivered = fold([reported(job.message, "delivered", device) for job in reversed(leased)])
    await asyncio.gather(*(Reports(pool).fold(rows) for _ in range(10) for rows in (sent, delivered)))
    assert await pool.fetchval("select count(*) from messages where state = 'delivered'") == 100


async def test_what_a_silent_phone_took_is_unknown_until_it_reports(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, _, message = await taken_one(stores)
    assert await stores.work.mark_silent() == 0
    await pool.execute("update work set taken_at = now() - interval '11 minutes'")
    await pool.execute("update devices set last_seen_at = now() - interval '11 minutes'")
    assert await stores.work.mark_silent() == 1
    assert await message_row(pool, message) == ("unknown", "silent")
    assert await stores.work.mark_silent() == 0
    await Reports(pool).fold(fold([reported(message, "sent", device)]))
    assert (await message_row(pool, message))[0] == "sent"
    assert await pool.fetchval("select count(*) from work") == 0


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
        await stores.leases.take([Asked(message, number, device, session, ACCOUNT)])
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
    await stores.leases.take([Asked(message, 1, device, session, ACCOUNT)])
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
    device, _, message = await taken_one(stores)
    await Reports(pool).fold(fold([replace(reported(message, "failed", device), reason="invalid_number")]))
    assert await message_row(pool, message) == ("failed", "invalid_number")
    assert await pool.fetchval("select count(*) from work") == 0


async def test_a_late_sending_withdraws_a_retry_that_nobody_has_taken(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    device, _, message = await taken_one(stores)
    await reports.fold(fold([reported(message, "failed", device)]))
    assert await pool.fetchval("select state from work") == "later"
    await reports.fold(fold([reported(message, "delivered", device)]))
    assert (await message_row(pool, message))[0] == "delivered"
    assert await pool.fetchval("select count(*) from work") == 0


async def test_a_late_sending_of_a_failed_attempt_ends_the_message_without_another_try(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    device, _, message = await taken_one(stores)
    await pool.execute("delete from outbox")
    await reports.fold(fold([reported(message, "failed", device)]))
    await reports.fold(fold([reported(message, "sent", device)]))
    assert (await message_row(pool, message))[0] == "failed", "failed is the stronger word on this attempt"
    assert await pool.fetchval("select count(*) from work") == 0
    told = [row["type"] for row in await pool.fetch("select type from outbox order by id")]
    assert sorted(told) == ["sms.failed", "sms.sent"]


async def test_a_failure_told_after_the_sending_is_the_end_and_brings_no_other_try(pool: Pool) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    device, _, message = await taken_one(stores)
    await pool.execute("delete from outbox")
    for state in ("sent", "failed"):
        await reports.fold(fold([reported(message, state, device)]))
    assert (await message_row(pool, message))[0] == "failed"
    assert await pool.fetchval("select count(*) from work") == 0
    told = [row["type"] for row in await pool.fetch("select type from outbox order by number")]
    assert told == ["sms.sent", "sms.failed"]


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_late_sending_of_the_first_attempt_outweighs_the_failure_of_the_second(
    pool: Pool, at_once: bool
) -> None:
    stores = await Stores.on(pool)
    reports = Reports(pool)
    device, session, message = await taken_one(stores)
    await reports.fold(fold([reported(message, "unknown", device)]))
    assert (await Stories(pool).resend(message, ACCOUNT, force=True))[0] == "resent"
    assert await stores.lease(device, session)
    assert await stores.leases.take([Asked(message, 2, device, session, ACCOUNT)])
    late, failed = reported(message, "sent", device), replace(reported(message, "failed", device), number=2)
    for batch in [[late, failed]] if at_once else [[late], [failed]]:
        await reports.fold(fold(batch))
    assert (await message_row(pool, message))[0] == "sent"
    assert await pool.fetchval("select count(*) from work") == 0, "nothing is left that nobody would ever end"
