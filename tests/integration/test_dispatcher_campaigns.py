"""The feeder on real Postgres: a window of rows in `work`, each row fed once, whatever dies or hangs in between."""

import asyncio
import time

import pytest

from shared.contracts.commands import Recipient
from shared.contracts.rpc import campaigns as rpc
from shared.db.pool import Pool
from shared.model.ids import MessageId
from tests.support.campaigns import WINDOW, Fair
from tests.support.dispatching import ACCOUNT, IDS, opened, submit_sms
from tests.support.scale import scaled
from tests.support.waiting import until

PLACES = 20


@pytest.fixture
async def fair(pool: Pool) -> Fair:
    return await Fair.on(pool)


def new_ids(count: int) -> list[MessageId]:
    return IDS.new(ACCOUNT, int(time.time() * 1000), count)


async def test_never_more_than_the_window_is_in_work_and_all_is_sent_once(fair: Fair) -> None:
    total = scaled(small=60, one=130, full=2000)
    id = await fair.started(total)
    phone = await opened(fair.stores)
    rounds = 0
    while (await fair.show(id)).status != "done":
        await fair.feeder.tick()
        in_work = await fair.pool.fetchval("select count(*) from work")
        assert in_work <= WINDOW
        if rounds == 0:
            assert in_work == WINDOW
        await fair.send(phone, PLACES)
        rounds += 1
        assert rounds < total
    shown = await fair.show(id)
    assert (shown.total, shown.unfed, shown.working, shown.sent) == (total, 0, 0, total)
    assert shown.ended_at is not None
    assert await fair.pool.fetchval("select count(distinct recipient) from messages") == total
    assert await fair.pool.fetchval("select count(*) from attempts") == total
    assert await fair.pool.fetchval("select count(*) from lanes where submitter like 'campaign:cmp%'") == 0
    assert await fair.pool.fetchval("select count(*) from lanes where submitter = 'campaign:'") == 1


async def test_rows_are_fed_in_their_order_and_say_whose_they_are(fair: Fair) -> None:
    id = await fair.started(WINDOW + 10)
    await fair.feeder.tick()
    rows = await fair.pool.fetch(
        "select m.recipient, m.submitter, w.prio from work w join messages m on m.id = w.message_id order by w.tag"
    )
    assert [row["recipient"] for row in rows] == [f"+1555{number:06}" for number in range(WINDOW)]
    assert {(row["submitter"], row["prio"]) for row in rows} == {(f"campaign:{id}", -10)}


async def test_two_replicas_feed_each_row_once(fair: Fair) -> None:
    total = 3 * WINDOW
    id = await fair.started(total)
    phone = await opened(fair.stores)
    feeders = [fair.feeder, fair.another_feeder()]
    for _ in range(total):
        await asyncio.gather(*(each.tick() for each in feeders for _ in range(2)))
        assert await fair.pool.fetchval("select count(*) from work") <= WINDOW
        await fair.send(phone, PLACES)
        if (await fair.show(id)).status == "done":
            break
    assert (await fair.show(id)).sent == total
    assert await fair.pool.fetchval("select count(*) from messages") == total
    assert await fair.pool.fetchval("select count(distinct recipient) from messages") == total


@pytest.mark.parametrize("status", ["active", "paused"])
async def test_a_replica_that_hung_and_has_lost_the_turn_feeds_nothing_more(fair: Fair, status: str) -> None:
    id = await fair.started(3 * WINDOW)
    async with fair.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("update campaigns set status = $1", status)
        reserving = [asyncio.create_task(fair.feeding.reserve(id, WINDOW, new_ids(WINDOW))) for _ in range(2)]

        async def both_wait() -> bool:
            waiting = (
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            )
            return bool(await fair.pool.fetchval(waiting) == len(reserving))

        await until(both_wait, "both wait for the campaign's row")
        await transaction.commit()
    counts = sorted(await asyncio.gather(*reserving))
    assert counts == ([0, WINDOW] if status == "active" else [0, 0])
    assert await fair.pool.fetchval("select count(*) from campaign_rows where state = 'fed'") == sum(counts)


async def test_a_crash_between_id_and_submit_neither_loses_nor_doubles(fair: Fair) -> None:
    id = await fair.started(10)
    ids = new_ids(4)
    assert await fair.feeding.reserve(id, WINDOW, ids) == 4
    assert await fair.pool.fetchval("select count(*) from messages") == 0
    await fair.another_feeder().tick()
    await fair.feeder.tick()
    stored = {row["id"] for row in await fair.pool.fetch("select id from messages")}
    assert len(stored) == 10
    assert set(ids) <= stored
    assert await fair.states() == {"ready": 10}


async def test_what_a_hung_replica_submits_after_a_cancel_is_never_sent(fair: Fair) -> None:
    id = await fair.started(10)
    ids = new_ids(4)
    await fair.feeding.reserve(id, WINDOW, ids)
    await fair.cancel(id)
    await fair.feeder.tick()
    late = submit_sms("+15550000001", recipients=[Recipient(each, "+15550000001") for each in ids])
    await fair.stores.messages.submit([late])
    assert await fair.states() == {}
    await fair.feeder.tick()
    shown = await fair.show(id)
    assert (shown.status, shown.canceled, shown.unfed, shown.working) == ("canceled", 4, 6, 0)
    ready = "select count(*) from messages where scheduled_at < now() + interval '1 hour'"
    assert await fair.pool.fetchval(ready) == 0, "no phone could have them in the meantime"
    assert shown.ended_at is not None


async def test_a_row_that_postgres_refuses_stands_alone(fair: Fair) -> None:
    id = await fair.started(20)
    await fair.pool.execute(
        "update campaign_rows set text = repeat('x', 200000) where campaign_id = $1 and row in (3, 11)", id
    )
    await fair.feeder.tick()
    await fair.feeder.tick()
    shown = await fair.show(id)
    assert (shown.failed, shown.working) == (2, 18)
    assert await fair.pool.fetchval("select count(*) from messages where reason = 'rejected'") == 2
    assert await fair.states() == {"ready": 18}


async def test_a_campaign_begins_when_it_is_due(fair: Fair) -> None:
    now = await fair.pool.fetchval("select extract(epoch from now())::float8")
    id = await fair.started(3, starts_at=now + 3600)
    await fair.feeder.tick()
    assert await fair.states() == {}
    await fair.pool.execute("update campaigns set starts_at = now()")
    await fair.feeder.tick()
    assert await fair.states() == {"ready": 3}
    assert (await fair.show(id)).working == 3


async def test_counters_follow_what_is_told_after_the_end(fair: Fair) -> None:
    id = await fair.started(4)
    phone = await opened(fair.stores)
    await fair.feeder.tick()
    taken = await fair.take(phone, PLACES)
    await fair.report(phone, taken, "sent")
    await fair.feeder.tick()
    await fair.feeder.tick()
    assert ((await fair.show(id)).status, (await fair.show(id)).sent) == ("done", 4)
    await fair.report(phone, taken[:3], "delivered")
    for _ in range(2):
        await fair.pool.execute("update campaigns set counted_at = now() - interval '2 seconds'")
        await fair.feeder.recount()
    shown = await fair.show(id)
    assert (shown.sent, shown.delivered, shown.working) == (1, 3, 0)


async def test_a_single_message_does_not_wait_behind_two_thousand(fair: Fair) -> None:
    """Of the same priority: a lower one would say nothing about fairness."""
    id = await fair.started(2000, priority=0)
    await fair.another_feeder(window=1000).tick()
    assert await fair.states() == {"ready": 1000}
    await fair.stores.messages.submit([submit_sms("+19990001", submitter="key_b")])
    device, session = await opened(fair.stores)
    leased = await fair.stores.lease(device, session, places=3)
    assert leased is not None
    assert "+19990001" in [job.recipient for job in leased]
    assert (await fair.show(id)).unfed == 1000


async def test_two_campaigns_share_the_phones(fair: Fair) -> None:
    for _ in range(2):
        await fair.started(WINDOW)
    await fair.feeder.tick()
    device, session = await opened(fair.stores)
    leased = await fair.stores.lease(device, session, places=PLACES)
    assert leased is not None
    submitters = await fair.pool.fetch(
        "select submitter, count(*)::int from messages where id = any($1) group by 1", [job.message for job in leased]
    )
    counts = [row["count"] for row in submitters]
    assert sum(counts) == PLACES
    assert max(counts) - min(counts) <= 2


async def test_what_ended_long_ago_is_forgotten_and_an_idle_draft_given_up(fair: Fair) -> None:
    old, young = await fair.started(3), await fair.started(3)
    draft = await fair.draft([rpc.Row("+15550001")])
    for id in (old, young):
        await fair.cancel(id)
    await fair.feeder.tick()
    await fair.feeder.tick()
    await fair.pool.execute("update campaigns set ended_at = now() - interval '91 days' where id = $1", old)
    await fair.pool.execute("update campaigns set changed_at = now() - interval '8 days' where id = $1", draft)
    await fair.feeder.forget()
    found = {each.id: each.status for each in (await fair.asked.list(rpc.ListCampaigns(account=ACCOUNT))).campaigns}
    assert found == {young: "canceled", draft: "canceled"}
    assert await fair.pool.fetchval("select count(*) from campaign_rows where campaign_id = $1", old) == 0
