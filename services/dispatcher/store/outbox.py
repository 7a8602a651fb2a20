"""Events on their way to the stream: read in order under a per-tick lock, deleted once they are there."""

import contextlib
from collections.abc import AsyncIterator

from shared.contracts.envelope import MAX_ITEMS
from shared.contracts.events import Event
from shared.db.pool import Pool


class Outbox:
    """Hands out waiting events."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    @contextlib.asynccontextmanager
    async def next_batch(self) -> AsyncIterator[list[Event]]:
        """The oldest events, at most an envelope full; they are gone when the block ends without an error.

        Empty when there are none or another replica relays. A row that commits late is in a later batch: there is no
        cursor that could pass it.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_TAKE_OUT, "dispatcher.relay", MAX_ITEMS)
            yield [
                Event(
                    id=str(row["event_id"]),
                    account=row["account_id"],
                    type=row["type"],
                    occurred_at=row["occurred_at"].timestamp(),
                    message=row["message_id"],
                    inbox=row["inbox_id"],
                    device=row["device_id"],
                    sim=row["sim"],
                    number=row["number"],
                )
                for row in sorted(rows, key=lambda row: row["id"])
            ]


# Deleted first, published, then committed: what could not be published comes back with the rollback. What a crash of
# the database brings back is published again under the same event id, so nobody waits for the commit's fsync.
_TAKE_OUT = """
with turn as materialized (
    select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as ours, set_config('synchronous_commit', 'off', true)
)
delete from outbox
where (select ours from turn) and id in (select id from outbox order by id limit $2)
returning *
"""
