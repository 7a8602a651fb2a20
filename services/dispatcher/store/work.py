"""What the clock does to live work. Locks are taken in order of message id, messages first."""

from services.dispatcher.states import EXPIRED_CHANGE, rank
from services.dispatcher.store.lanes import TAGGED
from services.dispatcher.store.queues import ReadyCount
from services.dispatcher.store.unsearched import unsearched
from shared.db.pool import Pool

LEASE_S = 30
"""A lease ends this many seconds after its session was last renewed."""


class Work:
    """Moves live work on as time passes."""

    def __init__(self, pool: Pool, unknown_after_s: int = 600) -> None:
        """A taken message without a report is `unknown` once its phone was unseen for `unknown_after_s` seconds."""
        self._pool = pool
        self._unknown_after_s = unknown_after_s

    async def make_due_ready(self, limit: int = 1000) -> list[ReadyCount]:
        """Scheduled work whose time has come becomes ready; nothing while another replica does it."""
        return await self._readied(_DUE, limit)

    async def end_lapsed_leases(self, limit: int = 1000) -> list[ReadyCount]:
        """Leases of sessions that ended or fell silent go back to their queues; nothing while another does it."""
        return await self._readied(_LAPSED, LEASE_S, limit)

    async def spill(self, limit: int = 1000) -> list[ReadyCount]:
        """Work that its preferred phone did not take in time becomes any phone's; nothing while another does it."""
        return await self._readied(_SPILL, limit)

    async def ready_queues(self) -> list[ReadyCount]:
        """The queues that have ready work, found by index steps however many rows wait."""
        return [ReadyCount(row["queue"], 1) for row in await self._pool.fetch(_READY_QUEUES)]

    async def expire(self, limit: int = 500) -> int:
        """Ends messages whose validity is over and that no phone has taken; returns how many were looked at."""
        count: int = await self._pool.fetchval(_EXPIRE, limit)
        return count

    async def mark_silent(self, limit: int = 500) -> int:
        """Taken messages whose phone, or whose time, is gone without a report become `unknown`; returns how many."""
        count: int = await self._pool.fetchval(_SILENT, self._unknown_after_s, limit)
        return count

    async def forget_outdated(self, limit: int = 500) -> int:
        """Taken work past its validity that is already `unknown` is at rest; returns how many."""
        count: int = await self._pool.fetchval(_OUTDATED, limit)
        return count

    async def _readied(self, statement: str, *arguments: object) -> list[ReadyCount]:
        rows = await self._pool.fetch(statement, *arguments)
        return [ReadyCount(row["queue"], row["messages"]) for row in rows]


TRY_LOCK = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))"
"""One replica does a periodic job at a time; the lock ends with the tick's transaction."""


def in_turn(job: str) -> str:
    """A table `turn (ours)`: whether this statement got the job's lock. Ticks that are one statement begin with it.

    Their snapshot may be older than the lock, so what they change they must have locked and looked at again.
    """
    return f"""turn as materialized (
    select pg_try_advisory_xact_lock(hashtextextended('dispatcher.{job}', 0)) as ours
)"""


_DUE = f"""
with {in_turn("due")}, due as (
    select message_id, queue, parts, due from work where (select ours from turn) and state = 'later' and due <= now()
    order by due limit $1 for update skip locked
), fresh as (
    select d.message_id as id, d.queue, m.submitter, d.parts, row_number() over (order by d.due, m.id) as place
    from due d join messages m on m.id = d.message_id
), {TAGGED}, readied as (
    update work w set state = 'ready', tag = t.tag from tagged t where w.message_id = t.id
    returning w.queue, w.message_id
), {unsearched("readied")}
select queue, count(*)::int as messages from readied group by queue
"""

_LAPSED = f"""
with {in_turn("lapsed")}, lapsed as (
    select w.message_id from work w join devices d on d.id = w.holder
    where (select ours from turn) and w.state = 'leased' and (
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

_SPILL = f"""
with {in_turn("spill")}, over as (
    select message_id, queue, parts, tag from work
    where (select ours from turn) and state = 'ready' and spill_at <= now()
    order by spill_at limit $1 for update skip locked
), fresh as (
    select o.message_id as id, home.id as queue, m.submitter, o.parts, row_number() over (order by o.tag) as place
    from over o join queues q on q.id = o.queue
    join queues home
        on home.account_id = q.account_id and home.device_id is null and home.sim is null and home.channel = q.channel
    join messages m on m.id = o.message_id
), {TAGGED}, spilled as (
    update work w set queue = f.queue, tag = t.tag, spill_at = null
    from fresh f join tagged t using (id) where w.message_id = f.id
    returning w.queue
)
select queue, count(*)::int as messages from spilled group by queue
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
with {in_turn("expire")}, over as (
    select message_id from work where (select ours from turn) and valid_until <= now() and state <> 'taken'
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
), {unsearched("gone")}
select count(*)::int from over
"""

_SILENT = f"""
with {in_turn("silent")}, silent as (
    select w.message_id from work w join devices d on d.id = w.holder
    where (select ours from turn) and w.state = 'taken' and w.taken_at < now() - make_interval(secs => $1::int)
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
), {unsearched("marked")}
select count(*)::int from marked
"""

_OUTDATED = f"""
with {in_turn("outdated")}, over as (
    select w.message_id from work w join attempts a on a.message_id = w.message_id and a.number = w.attempt
    where (select ours from turn) and w.valid_until <= now() and w.state = 'taken' and a.state = 'unknown'
    order by w.valid_until limit $1
), locked as (
    select id from messages where id in (select message_id from over) order by id for update
), gone as (
    delete from work w using locked l where w.message_id = l.id and w.state = 'taken' returning 1
)
select count(*)::int from gone
"""
