"""The log's weeks come and go: made ahead, removed when old, never while live work needs them."""

import asyncio
import datetime as dt

from services.dispatcher.store.partitions import PARTITIONED, WEEK_MS, Partitions, bound, partition_name, week_of
from shared.contracts.commands import Recipient
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, IDS, Stores, submit_sms

RETENTION_DAYS = 90


async def tables(pool: Pool) -> set[str]:
    rows = await pool.fetch("select relname from pg_class where relkind = 'r' and relname ~ '_[0-9]{8}$'")
    return {row["relname"] for row in rows}


async def make_week(pool: Pool, week: int) -> None:
    for table in PARTITIONED:
        name = partition_name(table, week)
        await pool.execute(f"create table {name} (like {table} including all)")
        await pool.execute(
            f"alter table {table} attach partition {name} "
            f"for values from ('\\x{bound(week).hex()}') to ('\\x{bound(week + 1).hex()}')"
        )


async def test_weeks_are_made_ahead_once(pool: Pool) -> None:
    partitions = Partitions(pool)
    made = await partitions.make_ahead()
    assert len(made) == len(PARTITIONED) * 6
    assert await partitions.make_ahead() == []
    assert await partitions.complete()


async def test_two_replicas_making_weeks_at_once_do_not_collide(pool: Pool) -> None:
    made = await asyncio.gather(*(Partitions(pool).make_ahead() for _ in range(4)))
    assert sum(len(names) for names in made) == len(PARTITIONED) * 6


async def test_old_weeks_are_removed_and_a_week_with_live_work_stays(pool: Pool) -> None:
    stores = await Stores.on(pool)
    partitions = Partitions(pool)
    now = week_of(dt.datetime.now(dt.UTC))
    for week in (now - 20, now - 19):
        await make_week(pool, week)
    (old_id,) = IDS.new(ACCOUNT, (now - 20) * WEEK_MS + 5000)
    scheduled = submit_sms("+1")
    scheduled = type(scheduled)(
        **{
            name: getattr(scheduled, name)
            for name in scheduled.__struct_fields__
            if name not in ("recipients", "scheduled_at")
        },
        recipients=[Recipient(old_id, "+1")],
        scheduled_at=scheduled.accepted_at + 3600,
    )
    await stores.messages.submit([scheduled])
    assert await partitions.remove_oldest(RETENTION_DAYS) == [
        partition_name(table, now - 19) for table in PARTITIONED
    ], "the older week has live work"
    assert await partitions.remove_oldest(RETENTION_DAYS) == []
    assert await pool.fetchval("select count(*) from messages where id = $1", old_id) == 1
    await pool.execute("delete from work")
    assert len(await partitions.remove_oldest(RETENTION_DAYS)) == len(PARTITIONED)
    assert len(await tables(pool)) == len(PARTITIONED) * 6, "this week and its neighbours stay"


async def test_a_removal_that_was_cut_off_is_finished(pool: Pool) -> None:
    await Stores.on(pool)
    old = week_of(dt.datetime.now(dt.UTC)) - 20
    await make_week(pool, old)
    await pool.execute(f"alter table messages detach partition {partition_name('messages', old)}")
    assert len(await Partitions(pool).remove_oldest(RETENTION_DAYS)) == len(PARTITIONED)
    assert len(await tables(pool)) == len(PARTITIONED) * 6


async def test_removing_does_not_wait_for_a_reader_nor_make_writers_wait(pool: Pool) -> None:
    stores = await Stores.on(pool)
    old = week_of(dt.datetime.now(dt.UTC)) - 20
    await make_week(pool, old)
    async with pool.acquire() as reader:
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetchval("select count(*) from messages")
        removal = asyncio.create_task(Partitions(pool).remove_oldest(RETENTION_DAYS))
        async with asyncio.timeout(5):
            for _ in range(20):
                await stores.messages.submit([submit_sms("+1")])
        await transaction.rollback()
        await removal
