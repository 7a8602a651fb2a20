"""The audit log as it is read, and what is written behind: refusals, and when credentials were used."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.contracts.rpc.audit import AuditEntry
from shared.db.pool import Pool

LOOKED_AT: Final = 5000
"""Of so many entries at most a page is chosen, so that a filter that leaves out nearly all costs no more than that."""


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

    async def page(
        self, account: int, limit: int, before: int | None, who: str | None, verb: str | None
    ) -> tuple[list[AuditEntry], int | None]:
        """The account's newest entries, of one person and one verb if told, and where the next page begins."""
        rows = await self._pool.fetch(
            """
            with seen as materialized (
                select id, extract(epoch from at)::float8 as at, account_id as account, who, address, verb, subject,
                    detail::text
                from audit where account_id = $1 and ($2::bigint is null or id < $2) order by id desc limit $6
            )
            select oldest, more, shown.*
            from (select min(id) as oldest, count(*) = $6 as more from seen) bounds left join lateral (
                select * from seen where ($4::text is null or who = $4) and ($5::text is null or verb = $5)
                order by id desc limit $3
            ) shown on true
            """,
            account,
            before,
            limit + 1,
            who,
            verb,
            LOOKED_AT,
        )
        entries = [_entry(dict(row)) for row in rows if row["id"] is not None]
        if len(entries) > limit:
            return entries[:limit], entries[limit - 1].id
        return entries, rows[0]["oldest"] if rows[0]["more"] else None

    async def names(self, account: int, ids: Collection[str]) -> dict[str, str]:
        """What the account's users, keys and clients of these ids are called, by id."""
        rows = await self._pool.fetch(
            """
            select id, login as name from users where account_id = $1 and id = any($2)
            union all select id, name from api_keys where account_id = $1 and id = any($2)
            union all select id, name from clients where account_id = $1 and id = any($2)
            """,
            account,
            ids,
        )
        return {row["id"]: row["name"] for row in rows}

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
        return [_entry(dict(row)) for row in rows]

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


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    told = {field: row[field] for field in AuditEntry.__struct_fields__}
    return AuditEntry(**{**told, "detail": msgspec.json.decode(told["detail"])})
