"""OAuth2 clients, by their secrets' digests, and the tokens of theirs that ended before their time."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.auth.store.changes import changing
from services.auth.store.pages import TIMES, USES, Page, Pages
from shared.contracts.rpc.audit import Actor
from shared.contracts.rpc.clients import Client, ListClients
from shared.db.pool import Pool


@dataclass(frozen=True)
class NewClient:
    """A client to be stored; its secret is not. `lives_s` in seconds, None for ever."""

    id: str
    name: str
    digest: bytes
    scopes: Sequence[str]
    rate_per_minute: int | None = None
    lives_s: int | None = None


class Clients:
    """The verbs about clients."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def create(self, account: int, client: NewClient, actor: Actor) -> int | None:
        """Stores the client and returns the epoch; None when there is no such account."""
        async with changing(self._pool, actor) as change:
            made = await change.connection.fetchval(
                """
                insert into clients (id, account_id, name, digest, scopes, rate_per_minute, expires_at)
                select $2, id, $3, $4, $5, $6, now() + make_interval(secs => $7) from accounts where id = $1
                returning id
                """,
                account,
                client.id,
                client.name,
                client.digest,
                list(client.scopes),
                client.rate_per_minute,
                client.lives_s,
            )
            if made is None:
                return None
            return await change.done("client.create", client.id, account, name=client.name, scopes=list(client.scopes))

    async def page(self, asked: ListClients) -> Page[Client] | None:
        """A page of the account's clients, revoked ones too; None for an unknown account."""
        return await _PAGES.read(self._pool, asked)

    async def rotate(self, account: int, client: str, digest: bytes, overlap_s: int, actor: Actor) -> int | None:
        """Replaces a living client's secret; returns the epoch, None for one that is unknown or has ended."""
        async with changing(self._pool, actor) as change:
            changed = await change.connection.fetchval(
                """
                update clients set digest = $3,
                    old_digest = case when $4 > 0 then digest end,
                    old_until = case when $4 > 0 then now() + make_interval(secs => $4) end
                where id = $2 and account_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())
                returning id
                """,
                account,
                client,
                digest,
                overlap_s,
            )
            return await change.done("client.rotate", client, account, overlap_s=overlap_s) if changed else None

    async def revoke(self, account: int, client: str, actor: Actor) -> int | None:
        """Ends a client, even one that has ended already; returns the epoch, None for an unknown one."""
        async with changing(self._pool, actor) as change:
            ended = await change.connection.fetchval(
                """
                update clients set revoked_at = coalesce(revoked_at, now()) where id = $2 and account_id = $1
                returning id
                """,
                account,
                client,
            )
            return await change.done("client.revoke", client, account) if ended else None

    async def revoke_token(self, account: int, client: str, jti: str, expires_at: int, actor: Actor) -> int | None:
        """Ends a token; returns the epoch, None for one that has ended already. `expires_at` in Unix seconds."""
        async with changing(self._pool, actor) as change:
            ended = await change.connection.fetchval(
                """
                insert into revoked_tokens (jti, account_id, client_id, expires_at)
                values ($1, $2, $3, to_timestamp($4))
                on conflict (jti) do nothing returning jti
                """,
                jti,
                account,
                client,
                expires_at,
            )
            return await change.done("token.revoke", jti, account, client=client) if ended else None


_PAGES = Pages(
    "clients",
    Client,
    f"c.id as client_id, c.name, c.scopes, c.rate_per_minute, {TIMES}, {USES}",
    ended="revoked_at is not null or expires_at <= now()",
)
