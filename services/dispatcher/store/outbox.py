"""Events on their way to the stream: read in order under a per-tick lock, deleted once they are there."""

import contextlib
from collections.abc import AsyncIterator

from services.dispatcher.store.work import TRY_LOCK
from shared.contracts.envelope import MAX_ITEMS
from shared.contracts.events import Event
from shared.db.pool import Connection, Pool


class Outbox:
    """Hands out waiting events."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    @contextlib.asynccontextmanager
    async def next_batch(self) -> AsyncIterator[list[Event]]:
        """The oldest events, at most an envelope full; they are deleted when the block ends without an error.

        Empty when there are none or another replica relays. A row that commits late is in a later batch: there is no
        cursor that could pass it.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            ids, events = await self._locked_batch(connection)
            yield events
            if ids:
                await connection.execute("delete from outbox where id = any($1)", ids)

    async def _locked_batch(self, connection: Connection) -> tuple[list[int], list[Event]]:
        if not await connection.fetchval(TRY_LOCK, "dispatcher.relay"):
            return [], []
        rows = await connection.fetch(_NEXT, MAX_ITEMS)
        events = [
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
            for row in rows
        ]
        return [row["id"] for row in rows], events


_NEXT = "select * from outbox order by id limit $1"
