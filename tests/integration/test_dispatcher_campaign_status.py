"""What pause, resume and cancel do to live work on real Postgres, and what they leave alone."""

import pytest

from services.dispatcher.store.leases import Asked
from shared.db.pool import Pool
from tests.support.campaigns import WINDOW, Fair
from tests.support.dispatching import ACCOUNT, message_row, opened, submit_sms

TOTAL = WINDOW + 30


@pytest.fixture
async def fair(pool: Pool) -> Fair:
    return await Fair.on(pool)


async def test_pause_holds_what_no_phone_has_and_resume_goes_on(fair: Fair) -> None:
    id = await fair.started(TOTAL)
    await fair.feeder.tick()
    device, session = await opened(fair.stores)
    leased = await fair.stores.lease(device, session, places=5)
    assert leased is not None
    await fair.pause(id)
    await fair.feeder.tick()
    assert await fair.states() == {"leased": 5, "later": WINDOW - 5}
    asked = [Asked(job.message, 1, device, session, ACCOUNT) for job in leased[:2]]
    assert len(await fair.stores.leases.take(asked)) == 2, "what a phone has goes on"
    await fair.report((device, session), [one.message for one in asked], "sent")
    await fair.stores.phones.close_session(ACCOUNT, device, session)
    await fair.feeder.tick()
    assert await fair.stores.work.make_due_ready() == []
    assert await fair.states() == {"later": WINDOW - 2}, "a lease that came back is held, and nothing more is fed"
    phone = await opened(fair.stores, device=device)
    assert await fair.take(phone, 10) == []
    await fair.resume(id)
    await fair.feeder.tick()
    assert await fair.states() == {"ready": WINDOW}
    rounds = 0
    while (await fair.show(id)).status != "done":
        await fair.send(phone, 40)
        await fair.feeder.tick()
        rounds += 1
        assert rounds < TOTAL
    assert (await fair.show(id)).sent == TOTAL
    assert await fair.pool.fetchval("select count(*) from attempts") == TOTAL


async def test_a_retry_keeps_its_time_over_a_pause_and_is_held_when_it_comes(fair: Fair) -> None:
    id = await fair.started(2)
    await fair.feeder.tick()
    phone = await opened(fair.stores)
    first, second = await fair.take(phone, 2)
    await fair.report(phone, [first, second], "failed")
    await fair.pool.execute("update work set due = now() + interval '300 seconds' where message_id = $1", first)
    await fair.pool.execute("update work set due = now() + interval '3 seconds' where message_id = $1", second)
    await fair.pause(id)
    await fair.feeder.tick()
    held = "select message_id from work where due = valid_until"
    assert [row["message_id"] for row in await fair.pool.fetch(held)] == [second]
    await fair.resume(id)
    await fair.feeder.tick()
    rows = await fair.pool.fetch("select message_id, state from work")
    assert {row["message_id"]: row["state"] for row in rows} == {first: "later", second: "ready"}


async def test_validity_goes_on_running_in_a_pause(fair: Fair) -> None:
    id = await fair.started(4)
    await fair.feeder.tick()
    await fair.pause(id)
    await fair.feeder.tick()
    await fair.pool.execute("update work set valid_until = now()")
    await fair.stores.work.expire()
    await fair.feeder.tick()
    await fair.feeder.tick()
    shown = await fair.show(id)
    assert (shown.status, shown.expired, shown.working) == ("done", 4, 0)


async def test_a_paused_campaign_delays_nobody_and_does_not_come_back_first(fair: Fair) -> None:
    id = await fair.started(WINDOW, priority=0)
    await fair.feeder.tick()
    await fair.pause(id)
    await fair.feeder.tick()
    await fair.stores.messages.submit([submit_sms(*(f"+1999{n:04}" for n in range(40)), submitter="key_b")])
    phone = await opened(fair.stores)
    device, session = phone
    leased = await fair.stores.lease(device, session, places=10)
    assert leased is not None
    assert {job.recipient[:5] for job in leased} == {"+1999"}
    await fair.take(phone, 10)
    await fair.resume(id)
    await fair.feeder.tick()
    again = await fair.stores.lease(device, session, places=10)
    assert again is not None
    assert "+1999" in {job.recipient[:5] for job in again}


async def test_cancel_ends_all_that_no_phone_has_taken(fair: Fair) -> None:
    id = await fair.started(TOTAL)
    await fair.feeder.tick()
    phone = await opened(fair.stores)
    taken = await fair.take(phone, 2)
    leased = await fair.stores.lease(*phone, places=5)
    assert leased is not None
    await fair.cancel(id)
    await fair.feeder.tick()
    assert await fair.states() == {"taken": 2}
    assert await message_row(fair.pool, leased[0].message) == ("canceled", "canceled")
    told = "select count(*) from outbox where type = 'sms.failed'"
    assert await fair.pool.fetchval(told) == WINDOW - 2
    assert await fair.pool.fetchval("select count(*) from history where detail = 'campaign'") == WINDOW - 2
    assert (await fair.show(id)).ended_at is None, "two may still be sent"
    await fair.report(phone, taken, "sent")
    await fair.feeder.tick()
    await fair.feeder.tick()
    shown = await fair.show(id)
    assert (shown.status, shown.sent, shown.canceled) == ("canceled", 2, WINDOW - 2)
    assert (shown.unfed, shown.working) == (TOTAL - WINDOW, 0)
    assert shown.ended_at is not None
    assert await fair.take(phone, 10) == []


async def test_a_paused_campaign_can_be_canceled(fair: Fair) -> None:
    id = await fair.started(WINDOW)
    await fair.feeder.tick()
    await fair.pause(id)
    await fair.feeder.tick()
    await fair.cancel(id)
    await fair.feeder.tick()
    await fair.feeder.tick()
    assert await fair.states() == {}
    assert ((await fair.show(id)).status, (await fair.show(id)).canceled) == ("canceled", WINDOW)


async def test_whoever_was_changed_is_looked_at_first_and_nobody_is_left_out(fair: Fair) -> None:
    first, second, third = [await fair.started(3) for _ in range(3)]
    for id in (first, third, second):
        await fair.feeding.settle(id)
    assert [each.id for each in await fair.feeding.open_campaigns()] == [first, third, second]
    await fair.pause(second)
    assert [each.id for each in await fair.feeding.open_campaigns()] == [second, first, third]
    await fair.feeding.settle(second)
    assert [each.id for each in await fair.feeding.open_campaigns()] == [first, third, second]


async def test_other_messages_are_left_alone(fair: Fair) -> None:
    mine, other = await fair.started(10), await fair.started(10)
    await fair.stores.messages.submit([submit_sms("+19990001")])
    await fair.feeder.tick()
    await fair.pause(other)
    await fair.cancel(mine)
    await fair.feeder.tick()
    assert await fair.states() == {"later": 10, "ready": 1}
    await fair.resume(other)
    await fair.feeder.tick()
    assert await fair.states() == {"ready": 11}
