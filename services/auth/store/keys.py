"""API keys, by their digests only."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.auth.store.changes import changing
from services.auth.store.pages import TIMES, USES, Page, Pages
from shared.contracts.rpc.audit import Actor
from shared.contracts.rpc.auth import Key, ListKeys
from shared.db.pool import Connection, Pool


@dataclass(frozen=True)
class NewKey:
    """An API key to be stored; the key itself is not. `lives_s` in seconds, None for ever."""

    id: str
    name: str
    digest: bytes
    prefix: str
    scopes: Sequence[str]
    rate_per_minute: int | None = None
    lives_s: int | None = None


async def insert_key(connection: Connection, account: int, key: NewKey) -> bool:
    """Stores the key; False when there is no such account."""
    made = await connection.fetchval(
        """
        insert into api_keys (id, account_id, name, digest, prefix, scopes, rate_per_minute, expires_at)
        select $2, id, $3, $4, $5, $6, $7, now() + make_interval(secs => $8) from accounts where id = $1
        returning id
        """,
        account,
        key.id,
        key.name,
        key.digest,
        key.prefix,
        list(key.scopes),
        key.rate_per_minute,
        key.lives_s,
    )
    return made is not None


class Keys:
    """The verbs about API keys."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def create(self, account: int, key: NewKey, actor: Actor) -> int | None:
        """Stores the key and returns the epoch; None when there is no such account."""
        async with changing(self._pool, actor) as change:
            if not await insert_key(change.connection, account, key):
                return None
            return await change.done("key.create", key.id, account, name=key.name, scopes=list(key.scopes))

    async def page(self, asked: ListKeys) -> Page[Key] | None:
        """A page of the account's API keys, revoked ones too; None for an unknown account."""
        return await _PAGES.read(self._pool, asked)

    async def rotate(
        self, account: int, key: str, digest: bytes, prefix: str, overlap_s: int, actor: Actor
    ) -> int | None:
        """Replaces a living key's secret; returns the epoch, None for a key that is unknown or has ended."""
        async with changing(self._pool, actor) as change:
            changed = await change.connection.fetchval(
                """
                update api_keys set digest = $3, prefix = $4,
                    old_digest = case when $5 > 0 then digest end,
                    old_until = case when $5 > 0 then now() + make_interval(secs => $5) end
                where id = $2 and account_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())
                returning id
                """,
                account,
                key,
                digest,
                prefix,
                overlap_s,
            )
            return await change.done("key.rotate", key, account, overlap_s=overlap_s) if changed else None

    async def revoke(self, account: int, key: str, actor: Actor) -> int | None:
        """Ends an API key, even one that has ended already; returns the epoch, None for an unknown key."""
        async with changing(self._pool, actor) as change:
            ended = await change.connection.fetchval(
                """
                update api_keys set revoked_at = coalesce(revoked_at, now()) where id = $2 and account_id = $1
                returning id
                """,
                account,
                key,
            )
            return await change.done("key.revoke", key, account) if ended else None


_PAGES = Pages(
    "api_keys",
    Key,
    f"c.id, c.name, c.prefix, c.scopes, c.rate_per_minute, {TIMES}, {USES}",
    ended="revoked_at is not null or expires_at <= now()",
)
