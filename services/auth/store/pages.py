"""How API keys, clients and enrolment keys are read page by page: a statement each, by an index of account and time."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from shared.contracts.rpc.listing import MAX_LISTED, Listing
from shared.db.pool import Pool

Shown = TypeVar("Shown")

TIMES = """extract(epoch from c.created_at)::float8 as created_at,
    extract(epoch from c.expires_at)::float8 as expires_at, extract(epoch from c.revoked_at)::float8 as revoked_at"""

USES = """extract(epoch from c.old_until)::float8 as old_until,
    (select extract(epoch from used_at)::float8 from credential_uses where id = c.id) as last_used_at"""


class Page(NamedTuple, Generic[Shown]):
    """Rows, the newest first, and the id that the next page is asked for with; None where nothing is older."""

    rows: list[Shown]
    before: str | None


class Pages(Generic[Shown]):
    """Reads one table."""

    def __init__(self, table: str, shown: Callable[..., Shown], columns: str, ended: str) -> None:
        """`columns` of `c`, the id first, are the fields of `shown`; `ended` tells which rows let nobody in."""
        self._shown = shown
        self._one = f"""
            select {columns} from accounts a left join {table} c on c.account_id = a.id and c.id = $2 where a.id = $1
        """
        # A page begins behind a row, as several share a time, and a stranger's row leads nowhere. Each state has a text
        # of its own, by which Postgres knows how many rows are in it.
        self._page = {
            state: f"""
            with last as (
                select created_at, id from {table} where account_id = $1 and id = $2
                union all select 'infinity', '' where $2::text is null
            )
            select {columns}
            from accounts a left join (
                select * from {table}
                where account_id = $1 and (created_at, id) < (select created_at, id from last) {standing}
                order by created_at desc, id desc limit $3
            ) c on true
            where a.id = $1
            order by c.created_at desc, c.id desc
            """
            for state, standing in (
                (None, ""),
                ("active", f"and ({ended}) is not true"),
                ("ended", f"and ({ended})"),
            )
        }

    async def read(self, pool: Pool, asked: Listing) -> Page[Shown] | None:
        """A page, or the one row that is asked for; None for an unknown account."""
        limit = max(1, min(asked.limit, MAX_LISTED))
        if asked.id is not None:
            rows = await pool.fetch(self._one, asked.account, asked.id)
        else:
            rows = await pool.fetch(self._page[asked.state], asked.account, asked.before, limit + 1)
        if not rows:
            return None
        shown = [self._shown(**row) for row in rows[:limit] if row[0] is not None]
        return Page(shown, rows[limit - 1][0] if len(rows) > limit else None)
