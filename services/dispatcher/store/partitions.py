"""The log's weekly partitions: made ahead and attached, detached and dropped, so that nothing live waits for it."""

import datetime as dt

from services.dispatcher.store.work import TRY_LOCK
from shared.db.pool import Connection, Pool

WEEK_MS = 7 * 86_400 * 1000
LOG = ("messages", "attempts", "history")
SEARCH = ("search_states", "search_texts")
PARTITIONED = (*LOG, *SEARCH)
"""In the order of their removal: the search speaks of nothing that the log does not have."""

WEEKS_BACK = 1
"""The gateway's clock may be a few seconds behind at a week's turn."""

WEEKS_AHEAD = 4

GRACE_DAYS = 1
"""Days between the end of resending a week's messages and the end of the week's partitions."""

LOCK_TIMEOUT = "set lock_timeout = '2s'"
"""Dropping gives way to whoever uses the table; the next tick tries again."""


def bound(week: int) -> bytes:
    """The first message id prefix (6 bytes) of a week counted from the Unix epoch."""
    return (week * WEEK_MS).to_bytes(6, "big")


def week_of(now: dt.datetime) -> int:
    """The week, counted from the Unix epoch, that a moment lies in."""
    return int(now.timestamp() * 1000) // WEEK_MS


def partition_name(table: str, week: int) -> str:
    """Such as messages_20261119: the table and the week's first day."""
    first = dt.datetime.fromtimestamp(week * WEEK_MS / 1000, dt.UTC)
    return f"{table}_{first:%Y%m%d}"


class Partitions:
    """Makes partitions."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def make_ahead(self) -> list[str]:
        """Makes and attaches the partitions missing from last week to four weeks ahead; returns their names.

        The search has one for every week of the log, however old. Empty also while another replica does it. Attaching
        takes no lock that reads or writes would wait for.
        """
        made: list[str] = []
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(TRY_LOCK, "dispatcher.partitions"):
                return made
            week = week_of(await connection.fetchval("select now()"))
            wanted = set(range(week - WEEKS_BACK, week + WEEKS_AHEAD + 1))
            logged = {_week_of_name(row["relname"]) for row in await connection.fetch(_TABLES, ["messages\\_%"])}
            for table in PARTITIONED:
                for number in sorted(wanted | logged if table in SEARCH else wanted):
                    name = partition_name(table, number)
                    if await connection.fetchval("select to_regclass($1) is not null", name):
                        continue
                    low, high = bound(number).hex(), bound(number + 1).hex()
                    kind = "unlogged table" if table in SEARCH else "table"
                    await connection.execute(f"create {kind} {name} (like {table} including all)")
                    await connection.execute(
                        f"alter table {table} attach partition {name} for values from ('\\x{low}') to ('\\x{high}')"
                    )
                    made.append(name)
        return made

    async def complete(self) -> bool:
        """Whether this week's and next week's partitions are there."""
        week = week_of(await self._pool.fetchval("select now()"))
        names = [partition_name(table, number) for table in PARTITIONED for number in (week, week + 1)]
        missing: int = await self._pool.fetchval(
            "select count(*) from unnest($1::text[]) as n (name) where to_regclass(name) is null", names
        )
        return missing == 0

    async def remove_oldest(self, days: int) -> list[str]:
        """Removes the oldest week that ended more than `days` ago and that no live work refers to; its tables' names.

        Empty when there is none, or another replica does it. A removal that was cut off is finished by the next one:
        DETACH CONCURRENTLY runs outside any transaction, on a connection of its own, while another one holds the
        tick's lock and has touched no table.
        """
        async with self._pool.acquire() as guard, self._pool.acquire() as worker, guard.transaction():
            if not await guard.fetchval(TRY_LOCK, "dispatcher.retention"):
                return []
            await worker.execute(LOCK_TIMEOUT)
            try:
                for row in await worker.fetch(_PENDING):
                    await worker.execute(f"alter table {row['parent']} detach partition {row['child']} finalize")
                week = await self._oldest_removable(worker, days)
                return [] if week is None else await self._remove(worker, week)
            finally:
                await worker.execute("reset lock_timeout")

    async def _oldest_removable(self, worker: Connection, days: int) -> int | None:
        now = await worker.fetchval("select now()")
        newest = week_of(now - dt.timedelta(days=days + GRACE_DAYS)) - 1
        names = {row["relname"] for row in await worker.fetch(_TABLES, [f"{table}\\_%" for table in PARTITIONED])}
        weeks = sorted({_week_of_name(name) for name in names})
        for week in weeks:
            if week > newest:
                return None
            if not await worker.fetchval(_HAS_WORK, bound(week), bound(week + 1)):
                return week
        return None

    async def _remove(self, worker: Connection, week: int) -> list[str]:
        removed = []
        for table in PARTITIONED:
            name = partition_name(table, week)
            if await worker.fetchval(_IS_ATTACHED, name):
                await worker.execute(f"alter table {table} detach partition {name} concurrently")
            await worker.execute(f"drop table if exists {name}")
            removed.append(name)
        return removed


def _week_of_name(name: str) -> int:
    first = dt.datetime.strptime(name.rpartition("_")[2], "%Y%m%d").replace(tzinfo=dt.UTC)
    return week_of(first)


_PENDING = """
select inhparent::regclass::text as parent, inhrelid::regclass::text as child from pg_inherits where inhdetachpending
"""

_TABLES = """
select relname from pg_class
where relkind = 'r' and relname like any($1) and relname ~ '_[0-9]{8}$' and pg_table_is_visible(oid)
"""

_HAS_WORK = "select exists (select from work where message_id >= $1 and message_id < $2)"

_IS_ATTACHED = "select exists (select from pg_inherits where inhrelid = to_regclass($1))"
