"""A clock that stands still for one database: now() is what the test says, in each statement of the code under test."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from shared.db.pool import Pool, connected_pool
from shared.runtime.settings import ServiceSettings


class DatabaseClock:
    """Moves only when told to. Defaults of columns keep the real time, at which this clock began."""

    def __init__(self, pool: Pool) -> None:
        """Made by `standing_still`; `pool` is one whose statements see this clock."""
        self.pool = pool

    async def now(self) -> datetime:
        """What the database believes."""
        moment: datetime = await self.pool.fetchval("select now()")
        return moment

    async def forward(self, seconds: float) -> None:
        """Time passes."""
        await self.pool.execute("update clockwork.moment set at = at + $1", timedelta(seconds=seconds))


@contextlib.asynccontextmanager
async def standing_still(settings: ServiceSettings, pool: Pool) -> AsyncIterator[DatabaseClock]:
    """A clock for the test's own database, and a pool that goes by it, for the context's time."""
    await pool.execute(
        """
        create schema clockwork;
        create table clockwork.moment as select now() as at;
        create function clockwork.now() returns timestamptz language sql stable as 'select at from clockwork.moment';
        """
    )
    # Named before pg_catalog, the schema's now() is what an unqualified now() means.
    name = urlsplit(settings.database_url).path.removeprefix("/")
    await pool.execute(f"alter database {name} set search_path = clockwork, public, pg_catalog")
    async with connected_pool(settings, "clockwork") as slow:
        yield DatabaseClock(slow)
