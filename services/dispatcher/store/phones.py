"""Phones, their SIMs and their sessions: a new session ends the older ones and settles what they held."""

from collections.abc import Sequence
from typing import NamedTuple

from services.dispatcher.budgets import APP_LIMITS
from services.dispatcher.states import CHANGES_PER_ATTEMPT, DEVICE_REMOVED_CHANGE, rank
from services.dispatcher.store.leases import LeasedJob
from services.dispatcher.store.queues import ReadyCount
from services.dispatcher.store.unsearched import unsearched
from shared.contracts.rpc.phones import OpenSession, SessionRef
from shared.db.pool import Pool

ORPHANS_PER_STATEMENT = 500

APP_PROTOCOLS = ("smsgate",)
"""Protocols of apps on stock Android, whose limits are kept unless the phone's owner says otherwise."""


class Opened(NamedTuple):
    """A new session: its number, work to be given again, and what the older sessions' end made ready."""

    session: int
    again: list[LeasedJob]
    freed: list[ReadyCount]


class Phones:
    """Writes devices, SIMs and sessions."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def open_session(self, hello: OpenSession) -> Opened | None:
        """Opens the device's next session; None for a deleted device or another account's.

        Untaken work of older sessions goes back to its queues. Taken work without a report is given again when it is
        of this journal, and becomes `unknown` when it is of another one.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            session = await connection.fetchval(
                _OPEN,
                hello.device,
                hello.account,
                hello.name,
                hello.protocol,
                hello.software,
                hello.journal,
                hello.channels,
                hello.approved,
                hello.gateway,
            )
            if session is None:
                return None
            slots = [sim.slot for sim in hello.sims]
            await connection.execute(
                _SIMS,
                hello.device,
                slots,
                [sim.number for sim in hello.sims],
                [sim.carrier for sim in hello.sims],
            )
            if hello.protocol in APP_PROTOCOLS:
                await connection.execute(_APP_BUDGETS, hello.device, slots, *APP_LIMITS)
            freed = await connection.fetch(_FREE, hello.device)
            await connection.execute(_FORGET, hello.device, hello.journal, "new journal")
            again = await connection.fetch(_AGAIN, hello.device, session)
        return Opened(
            session,
            [LeasedJob(*row) for row in again],
            [ReadyCount(row["queue"], row["messages"]) for row in freed],
        )

    async def renew(self, sessions: Sequence[SessionRef]) -> list[SessionRef]:
        """Says that these sessions are alive; returns those that are not their device's newest any more."""
        rows = await self._pool.fetch(_RENEW, [ref.device for ref in sessions], [ref.session for ref in sessions])
        return [SessionRef(row["device_id"], row["session"]) for row in rows]

    async def close_session(self, account: int, device: str, session: int) -> list[ReadyCount]:
        """Ends a session if it is still the newest; what it had not taken goes back to its queues."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_CLOSE, account, device, session) is None:
                return []
            freed = await connection.fetch(_FREE, device)
        return [ReadyCount(row["queue"], row["messages"]) for row in freed]

    async def remove(self, account: int, device: str) -> list[ReadyCount] | None:
        """Removes a phone; what became ready by it. None for an unknown or removed one, or another account's.

        What it held untaken goes back, what it took without a report is unknown, what is pinned to it fails.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_REMOVE, account, device) is None:
                return None
            await connection.execute(_FORGET, device, None, "device removed")
            freed = await connection.fetch(_FREE, device)
        while await self.fail_orphaned():
            pass
        return [ReadyCount(row["queue"], row["messages"]) for row in freed]

    async def change(
        self, account: int, device: str, *, name: str | None, approved: bool | None, paused: bool | None
    ) -> bool:
        """Changes what is not None; False where the account has no such phone."""
        return await self._pool.fetchval(_CHANGE, account, device, name, approved, paused) is not None

    async def fail_orphaned(self) -> int:
        """Ends work that is pinned to removed phones, a bounded number at once; returns how many."""
        count: int = await self._pool.fetchval(_FAIL_ORPHANED, ORPHANS_PER_STATEMENT)
        return count

    async def channels(self, device: str, session: int) -> tuple[str, ...] | None:
        """What this session can send over; None when it is not the device's newest."""
        found = await self._pool.fetchval(
            "select channels from devices where id = $1 and session = $2 and closed_at is null", device, session
        )
        return None if found is None else tuple(found)


_OPEN = """
insert into devices as d (
    id, account_id, name, protocol, software, journal, channels, approved, session, gateway, opened_at, renewed_at,
    last_seen_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, now(), now(), now())
on conflict (id) do update set
    name = excluded.name, protocol = excluded.protocol, software = excluded.software, journal = excluded.journal,
    channels = excluded.channels, approved = d.approved or excluded.approved, session = d.session + 1,
    gateway = excluded.gateway, opened_at = now(), renewed_at = now(), last_seen_at = now(), closed_at = null
where d.account_id = excluded.account_id and d.deleted_at is null
returning session
"""

_SIMS = """
with gone as (
    delete from sims where device_id = $1 and slot <> all($2::smallint[])
)
insert into sims (device_id, slot, number, carrier)
select $1, * from unnest($2::smallint[], $3::text[], $4::text[])
on conflict (device_id, slot) do update set number = excluded.number, carrier = excluded.carrier
"""

_APP_BUDGETS = """
insert into budgets (device_id, slot, per_minute, per_hour, per_day)
select $1, slot, $3, $4, $5 from unnest($2::smallint[]) as s (slot)
on conflict do nothing
"""

_FREE = """
with untaken as (
    select message_id from work where holder = $1 and state = 'leased' order by message_id for update
), freed as (
    update work w set state = 'ready', holder = null, session = null, sim = null
    from untaken u where w.message_id = u.message_id
    returning w.queue
)
select queue, count(*)::int as messages from freed group by queue
"""

_FORGET = f"""
with orphaned as (
    select w.message_id from work w join attempts a on a.message_id = w.message_id and a.number = w.attempt
    where w.holder = $1 and w.state = 'taken' and a.journal is distinct from $2
), locked as (
    select id from messages where id in (select message_id from orphaned) order by id for update
), gone as (
    delete from work w using locked l where w.message_id = l.id and w.state = 'taken'
    returning w.message_id, w.attempt
), marked as (
    update attempts a set state = 'unknown', reason = $3, unknown_at = coalesce(a.unknown_at, now())
    from gone g where a.message_id = g.message_id and a.number = g.attempt and a.state in ('taken', 'unknown')
    returning a.message_id, a.number, a.device_id, a.sim
), ended as (
    update messages m set state = 'unknown', reason = $3, attempt = k.number, device_id = k.device_id, sim = k.sim
    from marked k where m.id = k.message_id
), {unsearched("marked")}
insert into history (message_id, number, at, state, attempt, device_id, sim, detail)
select message_id, number * {CHANGES_PER_ATTEMPT} + {rank("unknown")}, now(), 'unknown', number, device_id, sim, $3
from marked
on conflict do nothing
"""

_CHANGE = """
update devices set given_name = coalesce($3, given_name), approved = coalesce($4, approved),
    paused_at = case when $5 then coalesce(paused_at, now()) when $5 is null then paused_at end
where account_id = $1 and id = $2 and deleted_at is null
returning id
"""

_REMOVE = """
update devices set deleted_at = now(), closed_at = coalesce(closed_at, now()), session = session + 1
where account_id = $1 and id = $2 and deleted_at is null
returning id
"""

_FAIL_ORPHANED = f"""
with pinned as (
    select w.message_id
    from devices d join queues q on q.device_id = d.id join work w on w.queue = q.id and w.state <> 'taken'
    where d.deleted_at is not null and w.spill_at is null
    order by w.message_id limit $1
), locked as (
    select id from messages where id in (select message_id from pinned) order by id for update
), gone as (
    delete from work w using locked l where w.message_id = l.id and w.state <> 'taken'
    returning w.message_id, w.attempt, w.account_id
), ended as (
    update messages m set state = 'failed', reason = 'device_removed', attempt = g.attempt, ended_at = now()
    from gone g where m.id = g.message_id
), told as (
    insert into history (message_id, number, at, state, attempt, detail)
    select message_id, attempt * {CHANGES_PER_ATTEMPT} + {DEVICE_REMOVED_CHANGE}, now(), 'failed', attempt,
        'device_removed'
    from gone
    on conflict do nothing
), announced as (
    insert into outbox (account_id, type, occurred_at, message_id, number)
    select account_id, 'sms.failed', now(), message_id, attempt * {CHANGES_PER_ATTEMPT} + {DEVICE_REMOVED_CHANGE}
    from gone
), {unsearched("gone")}
select count(*)::int from gone
"""

_AGAIN = """
with mine as (
    select message_id from work where holder = $1 and state = 'taken' order by message_id for update
), given as (
    update work w set session = $2 from mine where w.message_id = mine.message_id
    returning w.message_id, w.attempt, w.sim, w.tag
)
select g.message_id, g.attempt, g.sim, m.recipient, m.text, m.channel,
    extract(epoch from m.valid_until)::float8 as valid_until, m.media_url
from given g join messages m on m.id = g.message_id
order by g.tag
limit 100
"""

_RENEW = """
with asked as (
    select * from unnest($1::text[], $2::bigint[]) as t (device_id, session)
), locked as (
    select d.id from devices d join asked a on a.device_id = d.id and a.session = d.session
    where d.closed_at is null and d.deleted_at is null
    order by d.id for update of d
), renewed as (
    update devices d set renewed_at = now(), last_seen_at = now() from locked l where d.id = l.id
    returning d.id
)
select device_id, session from asked where device_id not in (select id from renewed)
"""

_CLOSE = """
update devices set closed_at = now(), last_seen_at = now()
where account_id = $1 and id = $2 and session = $3 and closed_at is null
returning id
"""
