"""The audit log as it is read, and what is written behind: refusals, and when credentials were used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from shared.contracts.rpc.audit import AuditEntry
from shared.db.pool import Pool


@dataclass(frozen=True)
class Refusal:
    """So many tries of one client id from one address that were refused."""

    client_id: str
    account: int | None
    address: str
    reason: str
    count: int


class Audit:
    """The verbs about what was done."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def list(self, account: int | None, limit: int, before: int | None) -> list[AuditEntry]:
        """The newest entries, of one account or of all."""
        rows = await self._pool.fetch(
            """
            select id, extract(epoch from at)::float8 as at, account_id as account, who, address, verb, subject,
                detail::text
            from audit
            where ($1::bigint is null or account_id = $1) and ($3::bigint is null or id < $3)
            order by id desc limit $2
            """,
            account,
            limit,
            before,
        )
        return [AuditEntry(**{**row, "detail": msgspec.json.decode(row["detail"])}) for row in rows]

    async def refused(self, refusals: Sequence[Refusal]) -> None:
        """Writes down refusals. They are no changes, so nothing is raised."""
        await self._pool.executemany(
            """
            insert into audit (account_id, who, address, verb, subject, detail)
            values ($1, $2, $3, 'token.refused', $2, jsonb_build_object('reason', $4::text, 'count', $5::int))
            """,
            [(each.account, each.client_id, each.address, each.reason, each.count) for each in refusals],
        )


class Uses:
    """When credentials were last used."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def note(self, uses: Mapping[str, float]) -> None:
        """Stores the times (Unix seconds) by id; a later one that is stored already stays."""
        ids = sorted(uses)
        await self._pool.execute(
            """
            with quick as materialized (select set_config('synchronous_commit', 'off', true))
            insert into credential_uses as c (id, used_at)
            select u.id, to_timestamp(u.at) from quick, unnest($1::text[], $2::float8[]) as u (id, at)
            on conflict (id) do update set used_at = greatest(c.used_at, excluded.used_at)
            """,
            ids,
            [uses[id_] for id_ in ids],
        )
