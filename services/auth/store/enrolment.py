"""Enrolment keys and the tokens of the phones that they let in."""

from dataclasses import dataclass

from services.auth.store.changes import changing
from services.auth.store.pages import TIMES, Page, Pages
from shared.contracts.rpc.audit import Actor
from shared.contracts.rpc.clients import EnrolmentKey, ListEnrolmentKeys
from shared.db.pool import Connection, Pool


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


@dataclass(frozen=True)
class Stored:
    """When the new key expires (Unix seconds), and the epoch."""

    expires_at: float | None
    epoch: int


async def insert_enrolment_key(connection: Connection, account: int, key: NewEnrolmentKey) -> float | None:
    """Stores the key of an account that exists; returns when it expires (Unix seconds)."""
    expires_at: float | None = await connection.fetchval(
        """
        insert into enrolment_keys (id, account_id, digest, single_use, approves, expires_at)
        values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
        returning extract(epoch from expires_at)::float8
        """,
        key.id,
        account,
        key.digest,
        key.single_use,
        key.approves,
        key.lives_s,
    )
    return expires_at


class Enrolment:
    """The verbs about enrolment."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def create(self, account: int, key: NewEnrolmentKey, actor: Actor) -> Stored | None:
        """Stores the key; None when there is no such account."""
        async with changing(self._pool, actor) as change:
            if not await change.connection.fetchval("select exists (select from accounts where id = $1)", account):
                return None
            expires_at = await insert_enrolment_key(change.connection, account, key)
            multi = not key.single_use
            epoch = await change.done("enrolment.create", key.id, account, multi=multi, approve=key.approves)
        return Stored(expires_at, epoch)

    async def page(self, asked: ListEnrolmentKeys) -> Page[EnrolmentKey] | None:
        """A page of the account's enrolment keys, revoked ones too; None for an unknown account."""
        return await _PAGES.read(self._pool, asked)

    async def revoke(self, account: int, key: str, actor: Actor) -> int | None:
        """Ends an enrolment key, even one that has ended already; returns the epoch, None for an unknown key."""
        async with changing(self._pool, actor) as change:
            ended = await change.connection.fetchval(
                """
                update enrolment_keys set revoked_at = coalesce(revoked_at, now()) where id = $2 and account_id = $1
                returning id
                """,
                account,
                key,
            )
            return await change.done("enrolment.revoke", key, account) if ended else None

    async def enrol(self, key_digest: bytes, device: str, token_digest: bytes, address: str) -> Bound | None:
        """Gives the key's device a new token, which ends the old one; None when the key lets nobody in.

        A multi-use key, or a single-use key not yet spent, makes the device `device`. One key shown twice at once
        still makes one device, because changes come one after the other.
        """
        key = await self._pool.fetchval("select id from enrolment_keys where digest = $1", key_digest)
        if key is None:
            return None
        async with changing(self._pool, Actor(key, address)) as change:
            row = await change.connection.fetchrow(
                """
                with key as (
                    select id, account_id, single_use, single_use or approves as approved,
                           coalesce(device_id, $2) as device_id
                    from enrolment_keys
                    where digest = $1 and revoked_at is null
                      and (device_id is not null or expires_at is null or expires_at > now())
                ), spent as (
                    update enrolment_keys k set device_id = key.device_id
                    from key where k.id = key.id and key.single_use and k.device_id is null
                )
                insert into device_tokens as t (device_id, account_id, digest, enrolment_key_id)
                select device_id, account_id, $3, id from key
                on conflict (device_id) do update
                    set digest = excluded.digest, created_at = now(), revoked_at = null
                returning t.account_id as account, t.device_id as device, (select approved from key)
                """,
                key_digest,
                device,
                token_digest,
            )
            if row is None:
                return None
            epoch = await change.done("device.enrol", row["device"], row["account"], approved=row["approved"])
        return Bound(**row, epoch=epoch)

    async def revoke_device(self, account: int, device: str, actor: Actor) -> int | None:
        """Ends a device's token and the single-use key bound to it; returns the epoch, None for an unknown device."""
        async with changing(self._pool, actor) as change:
            ended = await change.connection.fetchval(
                """
                with spent as (
                    update enrolment_keys set revoked_at = coalesce(revoked_at, now())
                    where account_id = $1 and device_id = $2
                )
                update device_tokens set revoked_at = coalesce(revoked_at, now())
                where account_id = $1 and device_id = $2
                returning device_id
                """,
                account,
                device,
            )
            return await change.done("device.revoke", device, account) if ended else None


_PAGES = Pages(
    "enrolment_keys",
    EnrolmentKey,
    f"""c.id, not c.single_use as multi, c.single_use or c.approves as approve, {TIMES}, c.device_id as device,
        (select count(*)::int from device_tokens where enrolment_key_id = c.id) as devices""",
    # A spent key is its phone's, however old.
    ended="revoked_at is not null or (device_id is null and expires_at <= now())",
)
