"""The search follows the log: whatever happens to messages, to the job and to the database, it is level in the end."""

import asyncio
import datetime as dt
import importlib
import pkgutil
import random
import re

import asyncpg
import pytest
from nats.aio.client import Client

from services.dispatcher import store
from services.dispatcher.hints import Hinter
from services.dispatcher.searching import Searching
from services.dispatcher.store.inbox import Inbox
from services.dispatcher.store.partitions import WEEK_MS, Partitions, bound, partition_name, week_of
from services.dispatcher.store.search import Search
from services.dispatcher.store.stories import Stories
from services.dispatcher.store.watch import Watch
from shared.contracts.reports import TextReceived
from shared.db.pool import Pool
from tests.integration.test_dispatcher_model import ACTIONS, World
from tests.support.dispatching import ACCOUNT, IDS, Stores, submit_sms
from tests.support.scale import scaled, seed
from tests.support.searching import level, searched, truth
from tests.support.waiting import until

UNLOGGED = "search_states, search_texts, search_numbers, search_progress, threads, tallies"


def received(number: str, text: str, *, at: float = 1_800_000_000.0, nth: int = 0) -> TextReceived:
    return TextReceived(
        account=ACCOUNT,
        device="d" * 21,
        sim=1,
        number=number,
        text=text,
        at=at,
        utc_offset_min=0,
        fingerprint=f"{number}{text}{nth}".encode(),
    )


async def assert_level(pool: Pool) -> None:
    """The search says of every message what the log says, and its tallies are their sums."""
    known = await truth(pool)
    assert await searched(pool) == {(each.id, each.state, each.device) for each in known}
    tallies = await pool.fetch(
        "select state, sum(messages)::int as n from tallies where account_id = $1 group by 1", ACCOUNT
    )
    states = [each.state for each in known]
    assert {row["state"]: row["n"] for row in tallies if row["n"]} == {state: states.count(state) for state in states}
    assert await pool.fetchval("select count(*) from tallies where messages < 0") == 0
    numbers = {
        row["number"] for row in await pool.fetch("select number from threads join search_numbers using (number)")
    }
    assert numbers >= {each.recipient for each in known}


def test_whatever_changes_a_message_notes_it() -> None:
    changing = re.compile(r"insert into messages\b|update messages m set(?! text = '')")
    found = 0
    for module in pkgutil.iter_modules(store.__path__, f"{store.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, str) and changing.search(value):
                assert "insert into unsearched" in value, f"{module.name}.{name}"
                found += 1
    assert found >= 11


async def test_the_search_is_level_after_random_lives(pool: Pool) -> None:
    chance = random.Random(seed())
    world = World((await Stores.on(pool), Stores(pool)), chance.randrange(2**32))
    await level(pool)
    assert await pool.fetchval("select messages_from = '' and inbox_from = 0 from search_progress"), "nothing was there"
    for nth in range(scaled(small=100, one=250, full=5000)):
        await world.act(chance.choice(ACTIONS))
        if nth % 10 == 0:
            await Search(pool).step(limit=3)
        if nth % 25 == 0 and world.submitted:
            await Stories(pool).delete_sent(ACCOUNT, chance.choice(world.submitted))
    await level(pool)
    await assert_level(pool)


async def test_replicas_at_once_miss_nothing_while_messages_come_and_go(pool: Pool) -> None:
    stores, search = await Stores.on(pool), Search(pool)

    async def comes_and_goes() -> None:
        for _ in range(10):
            command = submit_sms("+15551230001", "+15551230002")
            await stores.messages.submit([command])
            await Stories(pool).cancel(command.recipients[0].id, ACCOUNT)

    async def steps() -> None:
        for _ in range(15):
            await search.step(limit=2)

    await asyncio.gather(*(comes_and_goes() for _ in range(3)), *(steps() for _ in range(3)))
    await level(pool)
    await assert_level(pool)
    assert len(await truth(pool)) == 60


async def test_a_step_that_is_killed_is_taken_again(pool: Pool, database: str) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+15551230001")])
    other = await asyncpg.connect(database, timeout=10)
    blocker = other.transaction()
    await blocker.start()
    await other.execute("lock table search_states in exclusive mode")
    step = asyncio.create_task(Search(pool).step())

    async def waits() -> bool:
        return bool(
            await other.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_locks where not granted and database = "
                "(select oid from pg_database where datname = current_database())"
            )
        )

    await until(waits, "the step waits, and its connection is cut")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await step
    await blocker.rollback()
    await other.close()
    assert await searched(pool) == set()
    assert await level(pool)
    await assert_level(pool)


async def test_what_a_crash_empties_is_made_again(pool: Pool) -> None:
    stores = await Stores.on(pool)
    commands = [submit_sms("+15551230001", text=f"number {n}") for n in range(30)]
    await stores.messages.submit(commands)
    await Inbox(pool).add([received("+15551230009", "hello")])
    await Stories(pool).delete_sent(ACCOUNT, commands[3].recipients[0].id)
    await level(pool)
    await pool.execute(f"truncate {UNLOGGED}")
    search = Search(pool)
    while (await search.step(limit=7)).more:
        pass
    await assert_level(pool)
    assert await pool.fetchval("select count(*) from threads where number = '+15551230009'") == 1
    assert await level(pool) == 0, "and that is all"


async def test_only_what_a_crash_empties_is_unlogged(pool: Pool) -> None:
    await Partitions(pool).make_ahead()
    rows = await pool.fetch(
        "select distinct regexp_replace(relname, '_[0-9]{8}$', '') as name from pg_class "
        "where relkind = 'r' and relpersistence = 'u'"
    )
    assert {row["name"] for row in rows} == set(UNLOGGED.split(", "))


async def test_changes_without_a_note_are_found_the_second_time(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+15551230001")])
    await level(pool)
    await pool.execute("delete from work")
    await pool.execute("update messages set state = 'expired'")
    assert await level(pool) == 0
    await pool.execute("update search_progress set begun_at = now() - interval '2 hours'")
    assert await level(pool) == 1
    await assert_level(pool)
    assert await level(pool) == 0, "there is no third time"


async def test_the_log_of_an_older_version_is_taken_in(pool: Pool) -> None:
    stores, partitions = await Stores.on(pool), Partitions(pool)
    old = week_of(dt.datetime.now(dt.UTC)) - 9
    for table in ("messages", "attempts", "history"):
        name = partition_name(table, old)
        await pool.execute(f"create table {name} (like {table} including all)")
        await pool.execute(
            f"alter table {table} attach partition {name} "
            f"for values from ('\\x{bound(old).hex()}') to ('\\x{bound(old + 1).hex()}')"
        )
    assert await partitions.make_ahead() == [partition_name(table, old) for table in ("search_states", "search_texts")]
    (message,) = IDS.new(ACCOUNT, old * WEEK_MS + 5000)
    command = submit_sms("+15551230001")
    await stores.messages.submit([command])
    await pool.execute("update messages set id = $1", message)
    await pool.execute("update work set message_id = $1", message)
    await pool.execute("delete from unsearched")
    await level(pool)
    await assert_level(pool)


async def test_lag_is_the_age_of_the_oldest_note(pool: Pool) -> None:
    stores, watch = await Stores.on(pool), Watch(pool)
    assert (await watch.figures()).search_lag_s == 0
    await stores.messages.submit([submit_sms("+15551230001")])
    await pool.execute("update unsearched set noted_at = now() - interval '7 seconds'")
    assert 7 <= (await watch.figures()).search_lag_s < 60
    await level(pool)
    assert (await watch.figures()).search_lag_s == 0


async def test_numbers_and_hours_are_forgotten_with_what_was_said(pool: Pool) -> None:
    stores, search = await Stores.on(pool), Search(pool)
    await stores.messages.submit([submit_sms("+15551230001", "+15551230002")])
    await level(pool)
    await pool.execute("update threads set at = now() - interval '100 days' where number = '+15551230001'")
    await pool.execute("update tallies set hour = now() - interval '100 days'")
    await search.forget(99)
    for table in ("threads", "search_numbers"):
        assert [row["number"] for row in await pool.fetch(f"select number from {table}")] == ["+15551230002"]
    assert await pool.fetchval("select count(*) from tallies") == 0


async def test_one_note_of_very_much_is_taken_in_small_steps(pool: Pool) -> None:
    stores, search = await Stores.on(pool), Search(pool)
    await level(pool)
    await stores.messages.submit([submit_sms(*(f"+1555123{n:04}" for n in range(9)), text="long " * 4000)])
    steps = []
    while (step := await search.step(limit=2)).more:
        steps.append(step.done)
    assert steps == [4, 4]
    assert step.done == 1
    await assert_level(pool)


async def test_the_job_goes_on_after_a_failure(pool: Pool) -> None:
    stores = await Stores.on(pool)
    searching = Searching(Search(pool), Hinter(Client()), lambda: False)
    await stores.messages.submit([submit_sms("+15551230001")])
    await pool.execute("alter table tallies rename to away")
    with pytest.raises(asyncpg.UndefinedTableError):
        await searching.tick()
    await pool.execute("alter table away rename to tallies")
    await searching.tick()
    await assert_level(pool)
