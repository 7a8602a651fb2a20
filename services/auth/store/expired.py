"""Deletes what has expired and can have no effect any more."""

from shared.db.pool import Pool

BATCH = 10_000

_LOCK = "select pg_try_advisory_xact_lock(hashtextextended('auth.expired', 0))"

_OVER = (
    "delete from revoked_tokens where jti in"
    " (select jti from revoked_tokens where expires_at < now() - interval '1 hour' limit $1)",
    "delete from sign_in_links where digest in"
    " (select digest from sign_in_links where expires_at < now() - interval '1 day' limit $1)",
    "delete from sign_in_tries where login in"
    " (select login from sign_in_tries where last_at < now() - interval '1 day' limit $1)",
)


class Expired:
    """Old rows of every kind; the audit log keeps all of its own."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool."""
        self._pool = pool

    async def forget(self) -> None:
        """Deletes a bounded number of each kind, unless another replica does."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_LOCK):
                for statement in _OVER:
                    await connection.execute(statement, BATCH)
