"""The log's weekly partitions: made ahead beside the live table, then attached, so that nothing waits."""

import datetime as dt

from services.dispatcher.store.work import TRY_LOCK
from shared.db.pool import Pool

WEEK_MS = 7 * 86_400 * 1000
PARTITIONED = ("messages", "attempts", "history")

WEEKS_BACK = 1
"""The gateway's clock may be a few seconds behind at a week's turn."""

WEEKS_AHEAD = 4


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

        Empty also while another replica does it. Attaching takes no lock that reads or writes would wait for.
        """
        made: list[str] = []
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(TRY_LOCK, "dispatcher.partitions"):
                return made
            week = week_of(await connection.fetchval("select now()"))
            for table in PARTITIONED:
                for number in range(week - WEEKS_BACK, week + WEEKS_AHEAD + 1):
                    name = partition_name(table, number)
                    if await connection.fetchval("select to_regclass($1) is not null", name):
                        continue
                    low, high = bound(number).hex(), bound(number + 1).hex()
                    await connection.execute(f"create table {name} (like {table} including all)")
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
