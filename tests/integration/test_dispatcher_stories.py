"""What people do to messages on real Postgres: cancel, resend, delete."""

import time

from services.dispatcher.states import fold
from services.dispatcher.store.leases import Asked
from services.dispatcher.store.reports import Reports
from services.dispatcher.store.stories import Stories
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, message_row, opened, reported, submit_sms, taken_one


async def test_a_canceled_message_can_be_sent_again_and_a_waiting_one_not(pool: Pool) -> None:
    stores = await Stores.on(pool)
    stories = Stories(pool)
    command = submit_sms("+1")
    message = command.recipients[0].id
    await stores.messages.submit([command])
    assert (await stories.resend(message, ACCOUNT, force=False))[0] == "not_in_error"
    assert (await stories.cancel(message, ACCOUNT + 1)).outcome == "not_found"
    assert (await stories.cancel(message, ACCOUNT)).outcome == "canceled"
    assert (await stories.cancel(message, ACCOUNT)).outcome == "too_late"
    assert (await stories.resend(message, ACCOUNT + 1, force=False))[0] == "not_found"
    assert (await stories.resend(message, ACCOUNT, force=False))[0] == "resent"
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    assert (leased[0].message, leased[0].attempt) == (message, 2)


async def test_an_unknown_message_is_sent_again_only_by_force(pool: Pool) -> None:
    stores = await Stores.on(pool)
    stories = Stories(pool)
    device, session, message = await taken_one(stores)
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


async def test_an_app_phone_is_asked_to_leave_what_it_has_taken_and_its_report_decides(pool: Pool) -> None:
    stores = await Stores.on(pool)
    stories, reports = Stories(pool), Reports(pool)
    device, session = await opened(stores, protocol="smsgate")
    command = submit_sms("+1", "+2")
    left, sent = (recipient.id for recipient in command.recipients)
    await stores.messages.submit([command])
    leased = await stores.lease(device, session)
    assert leased
    assert await stores.leases.take([Asked(job.message, 1, device, session, ACCOUNT) for job in leased])
    for message in (left, sent):
        assert await stories.cancel(message, ACCOUNT) == ("wished", device, 1)
        assert (await message_row(pool, message))[0] == "queued", "nothing is decided yet"
    await reports.fold(fold([reported(left, "canceled", device), reported(sent, "sent", device)]))
    assert (await message_row(pool, left))[0] == "canceled"
    assert (await message_row(pool, sent))[0] == "sent"
    assert (await stories.cancel(sent, ACCOUNT)).outcome == "too_late"


async def test_what_was_to_be_canceled_and_failed_is_not_tried_again(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores, protocol="smsgate")
    await stores.messages.submit([submit_sms("+1")])
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    assert await stores.leases.take([Asked(message, 1, device, session, ACCOUNT)])
    await Stories(pool).cancel(message, ACCOUNT)
    await Reports(pool).fold(fold([reported(message, "failed", device)]))
    assert (await message_row(pool, message))[0] == "failed"
    assert await pool.fetchval("select count(*) from work") == 0
