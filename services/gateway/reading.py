"""How the gateway reads Postgres: every read has a deadline, and a database that is away is Unavailable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from asyncpg.pool import PoolConnectionProxy

from shared.db.pool import Pool, is_surroundings_error
from shared.errors import Unavailable

READ_DEADLINE_S: Final = 4.0
"""A page may take this long, waiting for a connection included."""


@contextlib.asynccontextmanager
async def reading(pool: Pool, deadline_s: float = READ_DEADLINE_S) -> "AsyncIterator[PoolConnectionProxy]":
    """A connection for the context's time, at most `deadline_s` seconds. Raises Unavailable."""
    try:
        async with asyncio.timeout(deadline_s), pool.acquire(timeout=deadline_s) as connection:
            yield connection
    except Exception as error:
        if is_surroundings_error(error):
            raise Unavailable("The database does not answer.") from error
        raise
