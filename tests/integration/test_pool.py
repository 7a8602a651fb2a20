"""A pool's connections cannot hold anything for long, and Postgres' errors are read rightly."""

import asyncio

import asyncpg
import pytest

from shared.db.pool import STATEMENT_TIMEOUT_S, Pool, connected_pool, is_item_error, is_surroundings_error
from shared.errors import Startup
from shared.runtime.settings import ServiceSettings

HOLD_S = STATEMENT_TIMEOUT_S
LOCK = "select pg_advisory_xact_lock(1)"
TRY = "select pg_try_advisory_xact_lock(1)"


async def test_a_client_that_hangs_in_a_transaction_holds_its_locks_for_ten_seconds_at_most(pool: Pool) -> None:
    loop = asyncio.get_running_loop()
    async with pool.acquire() as hung:
        hanging = hung.transaction()
        await hanging.start()
        await hung.execute(LOCK)
        begun = loop.time()
        while not await pool.fetchval(TRY):
            assert loop.time() - begun < 3 * HOLD_S
            await asyncio.sleep(0.1)
        held = loop.time() - begun
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await hung.fetchval("select 1")
    print(f"\n  a hung transaction held its lock for {held:.1f} s (promised: {HOLD_S} s)")
    assert held > HOLD_S / 2, "the time-out of this test must not be somebody else's"


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("select $1::text", ["a\0b"]),
        ("select $1::text", ["\ud800"]),
        ("select $1::smallint", [70_000]),
        ("select $1::timestamptz", ["no date"]),
        ("insert into accounts (name, status) values ('x', $1)", ["odd"]),
    ],
)
async def test_what_is_an_item_s_own_fault(pool: Pool, statement: str, arguments: list[object]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (its kind is what is looked at)
        await pool.fetch(statement, *arguments)
    assert isinstance(caught.value, Exception)
    assert is_item_error(caught.value)
    assert not is_surroundings_error(caught.value)


async def test_what_is_the_surroundings_fault(pool: Pool) -> None:
    for error in (
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.CannotConnectNowError(""),
        asyncpg.DeadlockDetectedError(""),
        asyncpg.QueryCanceledError(""),
        asyncpg.TooManyConnectionsError(""),
    ):
        assert is_surroundings_error(error)
        assert not is_item_error(error)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await pool.fetch("select * from a_table_that_is_not_there")
    assert not is_item_error(caught.value), "a schema that is behind is nobody's message's fault"


async def test_a_database_that_does_not_answer_is_said_in_one_line(settings: ServiceSettings) -> None:
    nowhere = ServiceSettings(nats_url=settings.nats_url, database_url="postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Startup, match="Postgres does not answer"):
        async with connected_pool(nowhere, "test", patience_s=0.3):
            pass
