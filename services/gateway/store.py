"""All that the gateway reads from Postgres; it writes nothing. Every query is scoped by account."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from asyncpg.pool import PoolConnectionProxy

from shared.db.pool import Pool, is_surroundings_error
from shared.errors import Unavailable
from shared.model.ids import MessageId

READ_DEADLINE_S = 4.0
"""A page may take this long, waiting for a connection included."""

CHECK_DEADLINE_S = 0.5
"""The same for checks that are skipped rather than waited for."""


class SentRow(NamedTuple):
    """A message with its live state: `live_state` is set while the message is not at rest."""

    id: bytes
    recipient: str
    text: str
    origin: str | None
    wanted_device_id: str | None
    wanted_sim: int | None
    accepted_at: datetime
    scheduled_at: datetime
    valid_until: datetime
    state: str
    reason: str | None
    device_id: str | None
    sim: int | None
    live_state: str | None


class InboxRow(NamedTuple):
    """A received text."""

    id: int
    guid: UUID
    device_id: str
    number: str
    text: str
    received_at: datetime
    utc_offset_min: int
    stored_at: datetime


class Store:
    """The gateway's reads. Each raises Unavailable while Postgres is away or too slow."""

    def __init__(self, pool: Pool) -> None:
        """`pool` may have no connection yet, or none any more."""
        self._pool = pool

    async def sent(
        self, account: int, *, message: MessageId | None = None, limit: int = 100, offset: int = 0
    ) -> list[SentRow]:
        """The account's sent messages, newest first; `message`: that one only."""
        async with self._reading(READ_DEADLINE_S) as connection:
            rows = await connection.fetch(
                """
                select m.id, m.recipient, m.text, m.origin, m.wanted_device_id, m.wanted_sim, m.accepted_at,
                    m.scheduled_at, m.valid_until, m.state, m.reason, coalesce(m.device_id, w.holder) as device_id,
                    coalesce(m.sim, w.sim) as sim, w.state as live_state
                from messages m left join work w on w.message_id = m.id
                where m.account_id = $1 and m.deleted_at is null and ($2::bytea is null or m.id = $2)
                order by m.id desc limit $3 offset $4
                """,
                account,
                message,
                limit,
                offset,
            )
        return [SentRow(*row) for row in rows]

    async def inbox(
        self,
        account: int,
        *,
        unread_only: bool = False,
        device: str | None = None,
        after: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[InboxRow]:
        """The account's received texts, newest first."""
        async with self._reading(READ_DEADLINE_S) as connection:
            rows = await connection.fetch(
                """
                select id, guid, device_id, number, text, received_at, utc_offset_min, stored_at
                from inbox
                where account_id = $1 and deleted_at is null and (not $2 or read_at is null)
                    and ($3::text is null or device_id = $3) and ($4::timestamptz is null or received_at > $4)
                order by id desc limit $5 offset $6
                """,
                account,
                unread_only,
                device,
                after,
                limit,
                offset,
            )
        return [InboxRow(*row) for row in rows]

    async def has_device(self, account: int, device: str | None) -> bool:
        """Whether the account has this device (None: any at all)."""
        async with self._reading(CHECK_DEADLINE_S) as connection:
            found: bool = await connection.fetchval(
                """
                select exists (
                    select from devices
                    where account_id = $1 and deleted_at is null and ($2::text is null or id = $2)
                )
                """,
                account,
                device,
            )
        return found

    async def clock(self) -> float:
        """The database's time, Unix seconds."""
        async with self._reading(CHECK_DEADLINE_S) as connection:
            now: float = await connection.fetchval("select extract(epoch from clock_timestamp())::float8")
        return now

    @contextlib.asynccontextmanager
    async def _reading(self, deadline_s: float) -> "AsyncIterator[PoolConnectionProxy]":
        try:
            async with asyncio.timeout(deadline_s), self._pool.acquire(timeout=deadline_s) as connection:
                yield connection
        except Exception as error:
            if is_surroundings_error(error):
                raise Unavailable("The database does not answer.") from error
            raise
