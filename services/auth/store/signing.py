"""Signing keys at rest: sealed, made ahead, withdrawn when nothing that they signed lives any more."""

from collections.abc import Callable

from services.auth.signing import Schedule, SealedKey
from services.auth.store.changes import Change, changing
from shared.contracts.rpc.audit import Actor
from shared.db.pool import Connection, Pool
from shared.security.vault import Sealed

SCHEDULED = Actor("auth", "local")

_LOCK = "select pg_try_advisory_xact_lock(hashtextextended('auth.signing', 0))"

_NEWEST = "select extract(epoch from max(signs_from))::float8 from signing_keys where withdrawn_at is null"

Seal = Callable[[str], Sealed]
"""Makes the new key of this id, sealed."""


class Signing:
    """The verbs about signing keys. Times are Unix seconds."""

    def __init__(self, pool: Pool, schedule: Schedule) -> None:
        """Borrows a connection of this pool for each verb; `schedule` says when keys are due."""
        self._pool = pool
        self._schedule = schedule

    async def ensure(self, kid: str, seal: Seal, now: float) -> int | None:
        """Makes the key `kid` if one is due; returns the epoch, None if none was. Of several at once one makes it."""
        async with changing(self._pool, SCHEDULED) as change:
            begins = self._schedule.next_from(await change.connection.fetchval(_NEWEST), now)
            return None if begins is None else await self._insert(change, kid, seal(kid), begins)

    async def tick(self, kid: str, seal: Seal, now: float) -> int | None:
        """The same for every replica's periodic job: looks first, and lets the one that has the lock act."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_LOCK):
                return None
            epoch = await self._withdraw_outlived(now)
            if self._schedule.next_from(await connection.fetchval(_NEWEST), now) is None:
                return epoch
            return await self.ensure(kid, seal, now)

    async def rotate(self, kid: str, seal: Seal, now: float, *, at_once: bool, actor: Actor) -> int:
        """Makes the key `kid` ahead of its time, or at once with all others withdrawn; returns the epoch."""
        async with changing(self._pool, actor) as change:
            begins = now if at_once else now + self._schedule.lead_s
            # A key that waits has signed nothing: it gives way in any case.
            await change.connection.execute(
                """
                update signing_keys set withdrawn_at = now()
                where withdrawn_at is null and ($1 or signs_from > to_timestamp($2))
                """,
                at_once,
                now,
            )
            return await self._insert(change, kid, seal(kid), begins, at_once=at_once or None)

    async def sealed_otherwise(self, key_id: str) -> list[SealedKey]:
        """The keys in use that are sealed under another key-encryption key than this one."""
        rows = await self._pool.fetch(
            """
            select id, vault_key, box, extract(epoch from signs_from)::float8 as signs_from
            from signing_keys where withdrawn_at is null and vault_key <> $1
            """,
            key_id,
        )
        return [SealedKey(row["id"], Sealed(row["vault_key"], row["box"]), row["signs_from"]) for row in rows]

    async def seal_anew(self, key: SealedKey, sealed: Sealed) -> None:
        """Replaces the sealing of a key, unless somebody else did. The key stays what it is: nothing is raised."""
        async with changing(self._pool, SCHEDULED) as change:
            await change.connection.execute(
                "update signing_keys set vault_key = $3, box = $4 where id = $1 and vault_key = $2",
                key.id,
                key.sealed.key_id,
                sealed.key_id,
                sealed.box,
            )

    async def _withdraw_outlived(self, now: float) -> int | None:
        outlived = await self._pool.fetch(_OUTLIVED, now, self._schedule.kept_until(0.0))
        if not outlived:
            return None
        async with changing(self._pool, SCHEDULED) as change:
            kids = [row["id"] for row in outlived]
            await change.connection.execute(
                "update signing_keys set withdrawn_at = now() where id = any($1) and withdrawn_at is null", kids
            )
            return await change.done("signing.withdraw", ", ".join(kids), None)

    async def _insert(
        self, change: Change, kid: str, sealed: Sealed, begins: float, *, at_once: bool | None = None
    ) -> int:
        await _insert_key(change.connection, kid, sealed, begins)
        return await change.done("signing.create", kid, None, signs_from=begins, at_once=at_once)


async def _insert_key(connection: Connection, kid: str, sealed: Sealed, begins: float) -> None:
    await connection.execute(
        "insert into signing_keys (id, vault_key, box, signs_from) values ($1, $2, $3, to_timestamp($4))",
        kid,
        sealed.key_id,
        sealed.box,
        begins,
    )


# A key is outlived when its successor has signed for longer than a token lives.
_OUTLIVED = """
select id from (
    select id, lead(signs_from) over (order by signs_from, id) as successor_from
    from signing_keys where withdrawn_at is null
) k
where successor_from + make_interval(secs => $2) < to_timestamp($1)
"""
