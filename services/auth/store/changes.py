"""The ways to change anything of auth: each with a line in the audit log, in one transaction.

What the replicas keep in memory changes under the epoch's lock. So epochs commit in order, and a reader at epoch N has
seen every change up to N. The lock comes first, so changes cannot wait for each other in a circle.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from shared.contracts.rpc.audit import Actor
from shared.db.pool import Connection, Pool


class Record:
    """A transaction of somebody's."""

    def __init__(self, connection: Connection, actor: Actor) -> None:
        """Made by `recording` and `changing`."""
        self.connection = connection
        self._actor = actor

    async def note(self, verb: str, subject: str, account: int | None, **detail: Any) -> None:
        """Writes down what is done. Details that are None are left out."""
        told = {name: value for name, value in detail.items() if value is not None}
        await self.connection.execute(
            """
            insert into audit (account_id, who, address, verb, subject, detail)
            values ($1, $2, $3, $4, $5, $6::text::jsonb)
            """,
            account,
            self._actor.who[:128],
            self._actor.address[:128],
            verb,
            subject,
            msgspec.json.encode(told).decode(),
        )


class Change(Record):
    """A change of what replicas remember. Without `done` it was none: the epoch stays."""

    async def done(self, verb: str, subject: str, account: int | None, **detail: Any) -> int:
        """Writes down what is done and raises the epoch; returns it."""
        await self.note(verb, subject, account, **detail)
        return int(await self.connection.fetchval("update auth_epoch set epoch = epoch + 1 returning epoch"))


@contextlib.asynccontextmanager
async def recording(pool: Pool, actor: Actor) -> AsyncIterator[Record]:
    """A transaction for what no replica remembers."""
    async with pool.acquire() as connection, connection.transaction():
        yield Record(connection, actor)


@contextlib.asynccontextmanager
async def changing(pool: Pool, actor: Actor) -> AsyncIterator[Change]:
    """A transaction that no other change of what replicas remember runs beside."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select from auth_epoch for update")
        yield Change(connection, actor)
