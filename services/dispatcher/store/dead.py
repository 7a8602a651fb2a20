"""Dead letters: items that Postgres refused, kept with the reason until somebody looks."""

from typing import NamedTuple

from shared.db.pool import Pool


class Letter(NamedTuple):
    """One dead letter; times are Unix seconds."""

    id: int
    source: str
    account: int | None
    reason: str
    item: bytes
    created_at: float
    replayed_at: float | None


class DeadLetterBox:
    """Keeps and hands out dead letters."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def add(self, source: str, account: int | None, reason: str, item: bytes) -> None:
        """Keeps one; `source` is the subject that it came from."""
        await self._pool.execute(
            "insert into dead_letters (source, account_id, reason, item) values ($1, $2, $3, $4)",
            source,
            account,
            reason[:2000].replace("\0", "\\0").encode(errors="replace").decode(),
            item,
        )

    async def list(self, wanted: int | None, limit: int) -> list[Letter]:
        """The newest first, or the one wanted."""
        rows = await self._pool.fetch(_LIST, wanted, limit)
        return [Letter(*row) for row in rows]

    async def mark_replayed(self, wanted: int) -> bool:
        """Whether it was this call that marked it; False if it was replayed before or there is none."""
        done = await self._pool.fetchval(
            "update dead_letters set replayed_at = now() where id = $1 and replayed_at is null returning id",
            wanted,
        )
        return done is not None


_LIST = """
select id, source, account_id, reason, item, extract(epoch from created_at)::float8,
    extract(epoch from replayed_at)::float8
from dead_letters where $1::bigint is null or id = $1
order by id desc limit $2
"""
