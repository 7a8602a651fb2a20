"""The attempt log's weekly partitions: made ahead and attached, detached and dropped, so that nothing waits for it."""

import datetime as dt

from services.webhooks.store.upkeep import TRY_LOCK
from shared.db.pool import Connection, Pool

WEEK_S = 7 * 86_400
TABLE = "delivery_attempts"

WEEKS_BACK = 1
"""An attempt begins before it is written down."""

WEEKS_AHEAD = 4

LOCK_TIMEOUT = "set lock_timeout = '2s'"
"""Dropping gives way to whoever uses the table; the next tick tries again."""


def week_of(now: dt.datetime) -> int:
    """The week, counted from the Unix epoch, that a moment lies in."""
    return int(now.timestamp()) // WEEK_S


def first_moment(week: int) -> dt.datetime:
    """When a week begins."""
    return dt.datetime.fromtimestamp(week * WEEK_S, dt.UTC)


def partition_name(week: int) -> str:
    """Such as delivery_attempts_20261119: the week's first day."""
    return f"{TABLE}_{first_moment(week):%Y%m%d}"


class Partitions:
    """Makes and removes partitions."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def make_ahead(self) -> list[str]:
        """Makes and attaches the partitions missing from last week to four weeks ahead; returns their names.

        Empty also while another replica does it. Attaching takes no lock that reads or writes would wait for.
        """
        made: list[str] = []
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(TRY_LOCK, "webhooks.partitions"):
                return made
            week = week_of(await connection.fetchval("select now()"))
            for number in range(week - WEEKS_BACK, week + WEEKS_AHEAD + 1):
                name = partition_name(number)
                if await connection.fetchval("select to_regclass($1) is not null", name):
                    continue
                low, high = first_moment(number).isoformat(), first_moment(number + 1).isoformat()
                await connection.execute(f"create table {name} (like {TABLE} including all)")
                await connection.execute(
                    f"alter table {TABLE} attach partition {name} for values from ('{low}') to ('{high}')"
                )
                made.append(name)
        return made

    async def complete(self) -> bool:
        """Whether this week's and next week's partitions are there."""
        week = week_of(await self._pool.fetchval("select now()"))
        names = [partition_name(number) for number in (week, week + 1)]
        missing: int = await self._pool.fetchval(
            "select count(*) from unnest($1::text[]) as n (name) where to_regclass(name) is null", names
        )
        return missing == 0

    async def remove_oldest(self, days: int) -> str | None:
        """Removes the oldest week that ended more than `days` ago; its table's name.

        None when there is none, or another replica does it. A removal that was cut off is finished by the next one:
        DETACH CONCURRENTLY runs outside any transaction, on a connection of its own, while another one holds the
        tick's lock and has touched no table.
        """
        async with self._pool.acquire() as guard, self._pool.acquire() as worker, guard.transaction():
            if not await guard.fetchval(TRY_LOCK, "webhooks.retention"):
                return None
            await worker.execute(LOCK_TIMEOUT)
            try:
                for row in await worker.fetch(_PENDING, TABLE):
                    await worker.execute(f"alter table {TABLE} detach partition {row['child']} finalize")
                return await self._remove(worker, days)
            finally:
                await worker.execute("reset lock_timeout")

    async def _remove(self, worker: Connection, days: int) -> str | None:
        now = await worker.fetchval("select now()")
        newest = partition_name(week_of(now - dt.timedelta(days=days)) - 1)
        name: str | None = await worker.fetchval(_OLDEST, f"{TABLE}\\_%")
        if name is None or name > newest:
            return None
        if await worker.fetchval(_IS_ATTACHED, name):
            await worker.execute(f"alter table {TABLE} detach partition {name} concurrently")
        await worker.execute(f"drop table if exists {name}")
        return name


_PENDING = """
select inhrelid::regclass::text as child from pg_inherits where inhdetachpending and inhparent = to_regclass($1)
"""

_OLDEST = """
select min(relname::text) from pg_class
where relkind = 'r' and relname like $1 and relname ~ '_[0-9]{8}$' and pg_table_is_visible(oid)
"""

_IS_ATTACHED = "select exists (select from pg_inherits where inhrelid = to_regclass($1))"
