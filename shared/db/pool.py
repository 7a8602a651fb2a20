"""Opens Postgres pools the same way everywhere, with a bound on everything that could hang, and reads its errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import structlog

from shared.errors import Startup
from shared.runtime.settings import ServiceSettings
from shared.runtime.vitals import watch_pool

log = structlog.get_logger()

Pool = asyncpg.Pool
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Row = asyncpg.Record
Record = asyncpg.Record

STATEMENT_TIMEOUT_S = 10
"""No statement and no transaction holds anything for longer than this many seconds."""

COMMAND_TIMEOUT_S = STATEMENT_TIMEOUT_S + 2
"""When the client gives up on a server that does not even say that it timed out."""

_ITEM_CLASSES = ("22", "23")
"""SQLSTATE classes that are an item's own fault: data exception, integrity violation."""


@contextlib.asynccontextmanager
async def connected_pool(
    settings: ServiceSettings,
    name: str,
    *,
    size: int = 8,
    patience_s: float | None = 15.0,
    plans_once: bool = False,
) -> AsyncIterator[Pool]:
    """A pool for the context's time; its connections and its metrics carry `name`.

    Waits up to `patience_s` seconds for the first connection and raises Startup when there is none. None: waits for
    none, because Postgres may be away; each use connects where it must, or raises what `is_surroundings_error` knows.

    `plans_once`: each connection plans a statement once for whatever its values; for statements that one plan suits.
    Else Postgres may plan anew each time, which takes longer than reading a page by an index.
    """
    pool = asyncpg.create_pool(
        settings.database_url,
        min_size=0 if patience_s is None else 1,
        max_size=size,
        command_timeout=COMMAND_TIMEOUT_S,
        timeout=5,
        server_settings={
            "application_name": f"smsfleet-{name}",
            "statement_timeout": str(STATEMENT_TIMEOUT_S * 1000),
            "transaction_timeout": str(STATEMENT_TIMEOUT_S * 1000),
            "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_S * 1000),
            "timezone": "UTC",
            "jit": "off",
            "plan_cache_mode": "force_generic_plan" if plans_once else "auto",
        },
        reset=_keep,
    )
    deadline = asyncio.get_running_loop().time() + (patience_s or 0)
    while True:
        try:
            await pool
            if patience_s is not None:
                # A pool whose first connection failed counts as initialised all the same.
                await pool.fetchval("select 1", timeout=5)
            break
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise Startup(f"Postgres does not answer: {type(error).__name__}: {error}") from error
        await asyncio.sleep(0.2)
    watch_pool(name, pool.get_size, pool.get_idle_size, size)
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), 10)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pool.terminate()


async def _keep(_: Connection) -> None:
    """Resets nothing between users: no code leaves session state behind, and resetting costs four statements."""


def is_item_error(error: Exception) -> bool:
    """Whether Postgres (or its client, while encoding) refused this very data, whatever the surroundings."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_ITEM_CLASSES)
    return isinstance(error, (UnicodeError, OverflowError, asyncpg.DataError))


def is_surroundings_error(error: Exception) -> bool:
    """Whether the error means that Postgres is away, overloaded or restarting, so that a later try may succeed."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(("08", "40", "53", "55", "57", "58"))
    return isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, ConnectionError))
