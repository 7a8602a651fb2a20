"""Live work: lease, take, and what the clock does to it. Locks are taken in order of message id, messages first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.dispatcher.states import EXPIRED_CHANGE, rank
from services.dispatcher.store.messages import ReadyCount
from shared.db.pool import Pool

LEASE_S = 30
"""A lease ends this many seconds after its session was last renewed."""

MAX_LEASED_PARTS = 800
"""Bound of one lease, in parts: at 320 bytes of UTF-8 a part it stays below 256 KiB."""


class LeasedJob(NamedTuple):
    """A message in a phone's hands, with what the phone needs to send it. `valid_until`: Unix seconds."""

    message: bytes
    attempt: int
    sim: int
    recipient: str
    text: str
    channel: str
    valid_until: float
    media_url: str | None


class Asked(NamedTuple):
    """One attempt that a session asks to take."""

    message: bytes
    number: int
    device: str
    session: int
    account: int


class ServedQueue(NamedTuple):
    """A queue that a phone may serve: by this SIM slot only, or by any (None)."""

    queue: int
    slot: int | None


class Work:
    """Hands out live work."""

    def __init__(self, pool: Pool, unknown_after_s: int = 600) -> None:
        """A taken message without a report is `unknown` once its phone was unseen for `unknown_after_s` seconds."""
        self._pool = pool
        self._unknown_after_s = unknown_after_s

    async def lease(
        self, account: int, device: str, session: int, places: Mapping[int, int], queues: Sequence[ServedQueue]
    ) -> list[LeasedJob] | None:
        """What this session holds untaken, filled up with new work to so many jobs for each SIM slot.

        None when the session is not the device's newest, or the device may not work.
        """
        rows = await self._pool.fetch(
            _LEASE,
            account,
            device,
            session,
            list(places.keys()),
            list(places.values()),
            [served.queue for served in queues],
            [served.slot for served in queues],
        )
        if not rows:
            return None
        return [LeasedJob(*row) for row in rows if row["message_id"] is not None]

    async def take(self, asked: Sequence[Asked]) -> set[tuple[bytes, int]]:
        """Of the attempts asked for by any number of sessions, those that are theirs to send."""
        rows = await self._pool.fetch(
            _TAKE,
            [ask.message for ask in asked],
            [ask.number for ask in asked],
            [ask.device for ask in asked],
            [ask.session for ask in asked],
            [ask.account for ask in asked],
        )
        return {(row["message_id"], row["attempt"]) for row in rows}

    async def make_due_ready(self, limit: int = 1000) -> list[ReadyCount] | None:
        """Scheduled work whose time has come becomes ready. None while another replica does it."""
        return await self._tick("due", _DUE, limit)

    async def end_lapsed_leases(self, limit: int = 1000) -> list[ReadyCount] | None:
        """Leases of sessions that ended or fell silent go back to their queues. None: another replica does it."""
        return await self._tick("lapsed", _LAPSED, LEASE_S, limit)

    async def ready_queues(self) -> list[ReadyCount]:
        """The queues that have ready work, found by index steps however many rows wait."""
        return [ReadyCount(row["queue"], 1) for row in await self._pool.fetch(_READY_QUEUES)]

    async def expire(self, limit: int = 500) -> int | None:
        """Ends messages whose validity is over and that no phone has taken; returns how many were looked at."""
        return await self._count("expire", _EXPIRE, limit)

    async def mark_silent(self, limit: int = 500) -> int | None:
        """Taken messages whose phone, or whose time, is gone without a report become `unknown`; returns how many."""
        return await self._count("silent", _SILENT, self._unknown_after_s, limit)

    async def forget_outdated(self, limit: int = 500) -> int | None:
        """Taken work past its validity that is already `unknown` is at rest; returns how many."""
        return await self._count("outdated", _OUTDATED, limit)

    async def _tick(self, name: str, statement: str, *arguments: object) -> list[ReadyCount] | None:
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(TRY_LOCK, f"dispatcher.{name}"):
                return None
            rows = await connection.fetch(statement, *arguments)
            return [ReadyCount(row["queue"], row["messages"]) for row in rows]

    async def _count(self, name: str, statement: str, *arguments: object) -> int | None:
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(TRY_LOCK, f"dispatcher.{name}"):
                return None
            count: int = await connection.fetchval(statement, *arguments)
            return count


TRY_LOCK = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))"
"""One replica does a periodic job at a time; the lock ends with the tick's transaction."""

# One row with a null message says "the session is good, there is nothing", no row says "this session may not work".
# A seat is room for one job on one SIM. Work that any SIM may send is dealt out to the seats in turn; then each SIM
# takes the first of what is dealt or pinned to it. A lease need not survive a crash of the database (what is not leased
# cannot be taken), so nobody waits for its fsync.
_LEASE = f"""
with session as (
    select id, set_config('synchronous_commit', 'off', true),
        exists (select from accounts a where a.id = d.account_id and a.status = 'suspended') as suspended
    from devices d
    where id = $2 and account_id = $1 and session = $3 and approved and closed_at is null and deleted_at is null
), held as (
    select message_id, attempt, sim from work where holder = $2 and session = $3 and state = 'leased'
), wanted as (
    select p.slot, greatest(p.places - (select count(*) from held h where h.sim = p.slot), 0) as need
    from unnest($4::smallint[], $5::int[]) as p (slot, places)
    where exists (select from session where not suspended)
), seats as (
    select slot, row_number() over (order by nth, slot) as seat from wanted, generate_series(1, need) as nth
), candidates as (
    select w.*, q.slot from unnest($6::bigint[], $7::smallint[]) as q (queue, slot) cross join lateral (
        select message_id, prio, tag, parts from work
        where work.queue = q.queue and state = 'ready' and valid_until > now()
        order by prio desc, tag
        limit (select count(*) from seats s where s.slot = coalesce(q.slot, s.slot))
        for update skip locked
    ) w
), seated as (
    select message_id, prio, tag, parts, slot from candidates where slot is not null
    union all
    select c.message_id, c.prio, c.tag, c.parts, s.slot
    from (
        select *, row_number() over (order by prio desc, tag) as seat from candidates where slot is null
    ) c join seats s using (seat)
), ranked as (
    select message_id, slot, row_number() over (partition by slot order by prio desc, tag) as place,
        row_number() over ranking as place_of_all, sum(parts) over ranking as parts_so_far
    from seated window ranking as (order by prio desc, tag rows unbounded preceding)
), leased as (
    update work set state = 'leased', holder = $2, session = $3, sim = r.slot
    from ranked r join wanted using (slot)
    where work.message_id = r.message_id and r.place <= wanted.need
        and (r.parts_so_far <= {MAX_LEASED_PARTS} or r.place_of_all = 1)
    returning work.message_id, work.attempt, work.sim, work.prio, work.tag
)
select j.message_id, j.attempt, j.sim, m.recipient, m.text, m.channel,
    extract(epoch from m.valid_until)::float8 as valid_until, m.media_url
from session
left join (
    select message_id, attempt, sim, 0 as fresh, 0 as prio, 0 as tag from held
    union all
    select message_id, attempt, sim, 1, prio, tag from leased
) j on true
left join messages m on m.id = j.message_id
order by j.fresh, j.prio desc, j.tag
"""

_TAKE = """
with asked as (
    select * from unnest($1::bytea[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[])
    as t (message_id, number, device_id, session, account_id)
), locked as (
    select w.message_id from work w join asked a using (message_id)
    where w.holder = a.device_id and w.session = a.session and w.attempt = a.number
        and w.account_id = a.account_id and w.state in ('leased', 'taken') and w.valid_until > now()
    order by w.message_id
    for update of w
), taken as (
    update work w set state = 'taken', taken_at = coalesce(w.taken_at, now())
    from locked where w.message_id = locked.message_id
    returning w.message_id, w.attempt, w.account_id, w.holder, w.sim, w.session, w.taken_at
), logged as (
    insert into attempts (message_id, number, account_id, device_id, sim, session, journal, state, taken_at)
    select t.message_id, t.attempt, t.account_id, t.holder, t.sim, t.session, d.journal, 'taken', t.taken_at
    from taken t join devices d on d.id = t.holder
    order by t.message_id
    on conflict (message_id, number) do nothing
)
select message_id, attempt from taken
"""

_DUE = """
with due as (
    select message_id from work where state = 'later' and due <= now()
    order by due limit $1 for update skip locked
), readied as (
    update work w set state = 'ready' from due where w.message_id = due.message_id
    returning w.queue
)
select queue, count(*)::int as messages from readied group by queue
"""

_LAPSED = """
with lapsed as (
    select w.message_id from work w join devices d on d.id = w.holder
    where w.state = 'leased' and (
        d.session <> w.session or d.closed_at is not null or d.deleted_at is not null
        or d.renewed_at < now() - make_interval(secs => $1::int)
    )
    order by w.message_id limit $2 for update of w skip locked
), freed as (
    update work w set state = 'ready', holder = null, session = null, sim = null
    from lapsed where w.message_id = lapsed.message_id
    returning w.queue
)
select queue, count(*)::int as messages from freed group by queue
"""

_READY_QUEUES = """
with recursive steps as (
    (select queue from work where state = 'ready' order by queue limit 1)
    union all
    select (select w.queue from work w where w.state = 'ready' and w.queue > s.queue order by w.queue limit 1)
    from steps s where s.queue is not null
)
select queue from steps where queue is not null
"""

_EXPIRE = f"""
with over as (
    select message_id from work where valid_until <= now() and state <> 'taken'
    order by valid_until limit $1
), locked as (
    select id from messages where id in (select message_id from over) order by id for update
), gone as (
    delete from work w using locked l
    where w.message_id = l.id and w.state <> 'taken' and w.valid_until <= now()
    returning w.message_id, w.attempt, w.account_id, w.valid_until
), ended as (
    update messages m set state = 'expired', reason = 'expired', attempt = g.attempt, ended_at = now()
    from gone g where m.id = g.message_id
), told as (
    insert into history (message_id, number, at, state, attempt)
    select message_id, attempt * 16 + {EXPIRED_CHANGE}, valid_until, 'expired', attempt from gone
    on conflict do nothing
), announced as (
    insert into outbox (account_id, type, occurred_at, message_id, number)
    select account_id, 'sms.failed', now(), message_id, attempt * 16 + {EXPIRED_CHANGE} from gone
)
select count(*)::int from over
"""

_SILENT = f"""
with silent as (
    select w.message_id from work w join devices d on d.id = w.holder
    where w.state = 'taken' and w.taken_at < now() - make_interval(secs => $1::int)
        and (d.last_seen_at < now() - make_interval(secs => $1::int) or w.valid_until <= now())
    order by w.taken_at limit $2
), locked as (
    select id from messages where id in (select message_id from silent) and state <> 'unknown' order by id for update
), marked as (
    update attempts a set state = 'unknown', reason = 'silent', unknown_at = now()
    from locked l join work w on w.message_id = l.id and w.state = 'taken'
    where a.message_id = l.id and a.number = w.attempt and a.state = 'taken'
    returning a.message_id, a.number, a.device_id, a.sim
), ended as (
    update messages m set state = 'unknown', reason = 'silent', attempt = k.number, device_id = k.device_id, sim = k.sim
    from marked k where m.id = k.message_id
), told as (
    insert into history (message_id, number, at, state, attempt, device_id, sim, detail)
    select message_id, number * 16 + {rank("unknown")}, now(), 'unknown', number, device_id, sim, 'silent' from marked
    on conflict do nothing
)
select count(*)::int from marked
"""

_OUTDATED = """
with over as (
    select w.message_id from work w join attempts a on a.message_id = w.message_id and a.number = w.attempt
    where w.valid_until <= now() and w.state = 'taken' and a.state = 'unknown'
    order by w.valid_until limit $1
), locked as (
    select id from messages where id in (select message_id from over) order by id for update
), gone as (
    delete from work w using locked l where w.message_id = l.id and w.state = 'taken' returning 1
)
select count(*)::int from gone
"""
