"""Accounts and credentials in Postgres. Each change raises the epoch in its own statement, data rows first.

The epoch's row is locked until its change commits, so epochs commit in order and a reader at epoch N has seen
every change up to N.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.auth.keys import Credential, Snapshot, snapshot
from shared.contracts.rpc.auth import Account, Key, SetAccount
from shared.db.pool import Pool


@dataclass(frozen=True)
class NewKey:
    """An API key to be stored; the key itself is not."""

    id: str
    name: str
    digest: bytes
    prefix: str
    scopes: Sequence[str]
    rate_per_minute: int | None = None


@dataclass(frozen=True)
class NewEnrolmentKey:
    """An enrolment key to be stored; the key itself is not. `lives_s` None: it never expires."""

    id: str
    digest: bytes
    single_use: bool = True
    approves: bool = False
    lives_s: float | None = 3600.0


@dataclass(frozen=True)
class Bound:
    """The device that an enrolment key stands for, and the epoch of its new token."""

    account: int
    device: str
    approved: bool
    epoch: int


class Store:
    """The verbs of auth, one statement each."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def epoch(self) -> int:
        """How far the credentials have grown."""
        return int(await self._pool.fetchval("select epoch from auth_epoch"))

    async def active_credentials(self) -> Snapshot:
        """Everything that verifies, with its epoch, as of one moment. A spent enrolment key does not expire."""
        rows = await self._pool.fetch(
            """
            with credential as (
                select 'api_key' as kind, digest, account_id, id as subject, scopes,
                       null::timestamptz as expires_at, rate_per_minute
                from api_keys where revoked_at is null
                union all
                select 'enrolment_key', digest, account_id, id, '{}',
                       case when device_id is null then expires_at end, null
                from enrolment_keys where revoked_at is null
                union all
                select 'device_token', digest, account_id, device_id, '{}', null, null
                from device_tokens where revoked_at is null
            )
            select e.epoch, c.kind, c.digest, c.account_id, c.subject, c.scopes,
                   extract(epoch from c.expires_at)::float8 as expires_at,
                   a.status = 'active' as active, a.time_zone, a.region, a.max_parts,
                   coalesce(c.rate_per_minute, a.rate_per_minute) as rate_per_minute
            from auth_epoch e left join (credential c join accounts a on a.id = c.account_id) on true
            """
        )
        return snapshot(
            rows[0]["epoch"],
            (
                Credential(
                    kind=row["kind"],
                    digest=row["digest"],
                    account=row["account_id"],
                    subject=row["subject"],
                    scopes=tuple(row["scopes"]),
                    expires_at=row["expires_at"],
                    active=row["active"],
                    time_zone=row["time_zone"],
                    region=row["region"],
                    max_parts=row["max_parts"],
                    rate_per_minute=row["rate_per_minute"],
                )
                for row in rows
                if row["kind"] is not None
            ),
        )

    async def create_account(
        self, name: str, time_zone: str, key: NewKey, enrolment: NewEnrolmentKey
    ) -> tuple[int, int] | None:
        """The new account's id and the epoch; None when the name is taken."""
        row = await self._pool.fetchrow(
            """
            with account as (
                insert into accounts (name, time_zone) values ($1, $2)
                on conflict (name) do nothing returning id
            ), api_key as (
                insert into api_keys (id, account_id, name, digest, prefix, scopes)
                select $3, id, $4, $5, $6, $7 from account
            ), enrolment_key as (
                insert into enrolment_keys (id, account_id, digest, single_use, approves, expires_at)
                select $8, id, $9, $10, $11, now() + $12::float8 * interval '1 second' from account
            ), raised as (
                update auth_epoch set epoch = epoch + 1 where exists (select from account) returning epoch
            )
            select account.id, raised.epoch from account, raised
            """,
            name,
            time_zone,
            key.id,
            key.name,
            key.digest,
            key.prefix,
            list(key.scopes),
            enrolment.id,
            enrolment.digest,
            enrolment.single_use,
            enrolment.approves,
            enrolment.lives_s,
        )
        return (row["id"], row["epoch"]) if row else None

    async def accounts(self) -> list[Account]:
        """All accounts in order of creation."""
        rows = await self._pool.fetch(
            """
            select id, name, status, time_zone, extract(epoch from created_at)::float8 as created_at,
                   region, max_parts, rate_per_minute
            from accounts order by id
            """
        )
        return [Account(**row) for row in rows]

    async def set_account(self, wish: SetAccount) -> int | None:
        """Changes what is not None, where 0 and "" mean none; returns the epoch, None for an unknown account."""
        epoch: int | None = await self._pool.fetchval(
            """
            with changed as (
                update accounts set
                    status = coalesce($6, status),
                    time_zone = coalesce($2, time_zone),
                    region = nullif(coalesce($3, region), ''),
                    max_parts = nullif(coalesce($4, max_parts), 0),
                    rate_per_minute = nullif(coalesce($5, rate_per_minute), 0)
                where id = $1
                returning id
            )
            update auth_epoch set epoch = epoch + 1 where exists (select from changed) returning epoch
            """,
            wish.account,
            wish.time_zone,
            wish.region,
            wish.max_parts,
            wish.rate_per_minute,
            wish.status,
        )
        return epoch

    async def revoke_device(self, account: int, device: str) -> int | None:
        """Ends a device's token and the single-use key bound to it; returns the epoch, None for an unknown device."""
        epoch: int | None = await self._pool.fetchval(
            """
            with ended as (
                update device_tokens set revoked_at = coalesce(revoked_at, now())
                where account_id = $1 and device_id = $2
                returning device_id
            ), spent as (
                update enrolment_keys k set revoked_at = coalesce(revoked_at, now())
                from ended where k.device_id = ended.device_id
            )
            update auth_epoch set epoch = epoch + 1 where exists (select from ended) returning epoch
            """,
            account,
            device,
        )
        return epoch

    async def create_key(self, account: int, key: NewKey) -> int | None:
        """Stores the key and returns the epoch; None when there is no such account."""
        epoch: int | None = await self._pool.fetchval(
            """
            with made as (
                insert into api_keys (id, account_id, name, digest, prefix, scopes, rate_per_minute)
                select $2, id, $3, $4, $5, $6, $7 from accounts where id = $1
                returning id
            )
            update auth_epoch set epoch = epoch + 1 where exists (select from made) returning epoch
            """,
            account,
            key.id,
            key.name,
            key.digest,
            key.prefix,
            list(key.scopes),
            key.rate_per_minute,
        )
        return epoch

    async def keys(self, account: int) -> list[Key] | None:
        """The account's API keys, revoked ones too, in order of creation; None for an unknown account."""
        rows = await self._pool.fetch(
            """
            select k.id, k.name, k.prefix, k.scopes, extract(epoch from k.created_at)::float8 as created_at,
                   extract(epoch from k.revoked_at)::float8 as revoked_at, k.rate_per_minute
            from accounts a left join api_keys k on k.account_id = a.id
            where a.id = $1
            order by k.created_at, k.id
            """,
            account,
        )
        return [Key(**row) for row in rows if row["id"] is not None] if rows else None

    async def revoke_key(self, account: int, key: str) -> int | None:
        """Ends an API key, even one that has ended already; returns the epoch, None for an unknown key."""
        epoch: int | None = await self._pool.fetchval(
            """
            with ended as (
                update api_keys set revoked_at = coalesce(revoked_at, now()) where id = $2 and account_id = $1
                returning id
            )
            update auth_epoch set epoch = epoch + 1 where exists (select from ended) returning epoch
            """,
            account,
            key,
        )
        return epoch

    async def enrol(self, key_digest: bytes, device: str, token_digest: bytes) -> Bound | None:
        """Gives the key's device a new token, which ends the old one; None when the key lets nobody in.

        A multi-use key, or a single-use key not yet spent, makes the device `device`. The key's row is locked:
        one key shown twice at once still makes one device.
        """
        row = await self._pool.fetchrow(
            """
            with key as (
                select id, account_id, single_use, single_use or approves as approved,
                       coalesce(device_id, $2) as device_id
                from enrolment_keys
                where digest = $1 and revoked_at is null
                  and (device_id is not null or expires_at is null or expires_at > now())
                for update
            ), spent as (
                update enrolment_keys k set device_id = key.device_id
                from key where k.id = key.id and key.single_use and k.device_id is null
            ), token as (
                insert into device_tokens (device_id, account_id, digest, enrolment_key_id)
                select device_id, account_id, $3, id from key
                on conflict (device_id) do update
                    set digest = excluded.digest, created_at = now(), revoked_at = null
                returning device_id
            ), raised as (
                update auth_epoch set epoch = epoch + 1 where exists (select from token) returning epoch
            )
            select key.account_id as account, key.device_id as device, key.approved, raised.epoch
            from key, raised
            """,
            key_digest,
            device,
            token_digest,
        )
        return Bound(**row) if row else None
