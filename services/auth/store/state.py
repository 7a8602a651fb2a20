"""What auth keeps in memory: all of it at start, then the rows that have changed since an epoch."""

from collections.abc import Callable
from typing import Any, NamedTuple

from services.auth.keys import SCOPES_OF_ROLE
from services.auth.memory import Account, Changes, Credential, Revoked
from services.auth.signing import SealedKey
from shared.db.pool import Pool
from shared.security.vault import Sealed


class State:
    """Reads. Rows may be newer than the epoch that they come with: they come again with theirs."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def epoch(self) -> int:
        """How far the state has grown."""
        return int(await self._pool.fetchval("select epoch from auth_epoch"))

    async def everything(self) -> Changes:
        """Every row that has an effect."""
        return await self._read(_WHOLE)

    async def since(self, epoch: int) -> Changes:
        """The rows that were changed after this epoch, those that have ended too."""
        return await self._read(_SINCE, epoch)

    async def _read(self, statements: "_Statements", *since: int) -> Changes:
        async with self._pool.acquire() as connection:
            epoch = await connection.fetchval("select epoch from auth_epoch")
            credentials = await connection.fetch(statements.credentials, *since)
            signing = await connection.fetch(statements.signing, *since)
            revoked = await connection.fetch(statements.revoked, *since)
            # Last, so that no credential is read without its account.
            accounts = await connection.fetch(statements.accounts, *since)
        return Changes(
            epoch=epoch,
            accounts=[Account(**row) for row in accounts],
            credentials=[_credential(row) for row in credentials],
            signing=[
                SealedKey(row["id"], Sealed(row["vault_key"], row["box"]), row["signs_from"], row["withdrawn"])
                for row in signing
            ],
            revoked=[Revoked(**row) for row in revoked],
        )


class _Statements(NamedTuple):
    accounts: str
    credentials: str
    signing: str
    revoked: str


def _credential(row: Any) -> Credential:
    scopes = tuple(row["scopes"])
    return Credential(**{**row, "scopes": SCOPES_OF_ROLE[scopes[0]] if row["kind"] == "user" else scopes})


def _reading(where: Callable[[str], str]) -> _Statements:
    """The statements; `where` is given what makes a row have an effect."""
    living = where("revoked_at is null and (expires_at is null or expires_at > now())")
    unrevoked = where("revoked_at is null")
    return _Statements(
        accounts=f"""
            select id, status = 'active' as active, time_zone, region, max_parts, rate_per_minute, daily_sends
            from accounts where {where("true")}
        """,
        # A spent enrolment key does not expire. A user's digest is shared/contracts/rpc/people.py's session_digest.
        credentials=f"""
            select 'api_key' as kind, id, account_id as account, digest, scopes,
                extract(epoch from expires_at)::float8 as expires_at, old_digest,
                extract(epoch from old_until)::float8 as old_until, rate_per_minute, revoked_at is not null as ended
            from api_keys where {living}
            union all
            select 'client', id, account_id, digest, scopes, extract(epoch from expires_at)::float8, old_digest,
                extract(epoch from old_until)::float8, rate_per_minute, revoked_at is not null
            from clients where {living}
            union all
            select 'enrolment_key', id, account_id, digest, '{{}}',
                case when device_id is null then extract(epoch from expires_at)::float8 end, null, null, null,
                revoked_at is not null
            from enrolment_keys where {unrevoked}
            union all
            select 'device_token', device_id, account_id, digest, '{{}}', null, null, null, null, revoked_at is not null
            from device_tokens where {unrevoked}
            union all
            select 'user', id, account_id, sha256(convert_to(id || '.' || generation, 'UTF8')), array[role], null, null,
                null, null, disabled_at is not null
            from users where {where("disabled_at is null")}
        """,
        signing=f"""
            select id, vault_key, box, extract(epoch from signs_from)::float8 as signs_from,
                withdrawn_at is not null as withdrawn
            from signing_keys where {where("withdrawn_at is null")}
        """,
        revoked=f"""
            select jti, extract(epoch from expires_at)::bigint as expires_at, epoch
            from revoked_tokens where {where("expires_at > now() - interval '5 minutes'")}
        """,
    )


_WHOLE = _reading(lambda effective: effective)
_SINCE = _reading(lambda _: "epoch > $1")
