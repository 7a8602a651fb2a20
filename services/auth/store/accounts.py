"""Accounts and their settings."""

import msgspec

from services.auth.keys import quiet_ends
from services.auth.store.changes import changing
from services.auth.store.enrolment import NewEnrolmentKey, insert_enrolment_key
from services.auth.store.keys import NewKey, insert_key
from shared.contracts.rpc.audit import Actor
from shared.contracts.rpc.auth import Account, SetAccount
from shared.db.pool import Pool


class Accounts:
    """The verbs about accounts."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def create(
        self, name: str, time_zone: str, key: NewKey, enrolment: NewEnrolmentKey, actor: Actor
    ) -> tuple[int, int] | None:
        """The new account's id and the epoch; None when the name is taken."""
        async with changing(self._pool, actor) as change:
            account: int | None = await change.connection.fetchval(
                "insert into accounts (name, time_zone) values ($1, $2) on conflict (name) do nothing returning id",
                name,
                time_zone,
            )
            if account is None:
                return None
            await insert_key(change.connection, account, key)
            await insert_enrolment_key(change.connection, account, enrolment)
            epoch = await change.done(
                "account.create", str(account), account, name=name, key=key.id, enrolment_key=enrolment.id
            )
        return account, epoch

    async def list(self) -> list[Account]:
        """All accounts in order of creation."""
        return [Account(**row) for row in await self._pool.fetch(f"select {_SHOWN} from accounts order by id")]

    async def one(self, account: int) -> Account | None:
        """One account; None for an unknown one."""
        row = await self._pool.fetchrow(f"select {_SHOWN} from accounts where id = $1", account)
        return Account(**row) if row else None

    async def set(self, wish: SetAccount) -> int | None:
        """Changes what is not None, where 0 and "" mean none; returns the epoch, None for an unknown account."""
        quiet_from, quiet_until = quiet_ends(wish.quiet or "")
        async with changing(self._pool, wish.actor) as change:
            changed = await change.connection.fetchval(
                """
                update accounts set
                    status = coalesce($2, status),
                    time_zone = coalesce($3, time_zone),
                    region = nullif(coalesce($4, region), ''),
                    max_parts = nullif(coalesce($5, max_parts), 0),
                    rate_per_minute = nullif(coalesce($6, rate_per_minute), 0),
                    daily_sends = nullif(coalesce($7, daily_sends), 0),
                    quiet_from = case when $8 then $9 else quiet_from end,
                    quiet_until = case when $8 then $10 else quiet_until end,
                    quiet_urgent = coalesce($11, quiet_urgent)
                where id = $1
                returning id
                """,
                wish.account,
                wish.status,
                wish.time_zone,
                wish.region,
                wish.max_parts,
                wish.rate_per_minute,
                wish.daily_sends,
                wish.quiet is not None,
                quiet_from,
                quiet_until,
                wish.quiet_urgent,
            )
            if changed is None:
                return None
            detail = msgspec.structs.asdict(wish)
            del detail["account"], detail["actor"]
            return await change.done("account.set", str(wish.account), wish.account, **detail)


_SHOWN = """id, name, status, time_zone, extract(epoch from created_at)::float8 as created_at,
    region, max_parts, rate_per_minute, daily_sends, quiet_urgent,
    to_char(quiet_from, 'HH24:MI-') || to_char(quiet_until, 'HH24:MI') as quiet"""
