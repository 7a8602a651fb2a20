"""Hands live work to phones: leases, and takes right before the radio. Both lock rows of `work` and budgets only."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from services.dispatcher.store.accounts import LEAST_PRIORITY, NOTHING_MAY_GO
from services.dispatcher.store.budgets import CHARGE, USED, lock_budgets
from services.dispatcher.store.floors import Floors
from shared.db.pool import Pool, Record

MAX_LEASED_PARTS = 800
"""Bound of one lease, in parts: at 320 bytes of UTF-8 a part it stays below 256 KiB."""

MOST_PARTS = 1000
"""No message has more parts than these."""


class LeasedJob(NamedTuple):
    """A message in a phone's hands, with what the phone needs to send it. `valid_until`: Unix seconds.

    `wait_ms`: how long this SIM shall rest after its last sending.
    """

    message: bytes
    attempt: int
    sim: int
    recipient: str
    text: str
    channel: str
    valid_until: float
    media_url: str | None
    wait_ms: int = 0


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


class Leases:
    """Hands out live work."""

    def __init__(self, pool: Pool, now: Callable[[], dt.datetime] | None = None) -> None:
        """Budgets count by the database's clock, unless `now` is given (for tests of long spans)."""
        self._pool = pool
        self._now = now
        self._budgeted: set[str] = set()
        self._floors = Floors(pool)

    async def lease(
        self, account: int, device: str, session: int, places: Mapping[int, int], queues: Sequence[ServedQueue]
    ) -> list[LeasedJob] | None:
        """What this session holds untaken, filled up with new work to so many jobs for each SIM slot.

        No SIM gets more parts than its budget has left. None when the session is not the device's newest, or the
        device may not work.
        """
        arguments = (
            account,
            device,
            session,
            list(places.keys()),
            list(places.values()),
            [served.queue for served in queues],
            [served.slot for served in queues],
            self._now() if self._now else None,
            self._floors.of_session(device, session),
            await self._floors.of_queues([served.queue for served in queues]),
        )
        rows: Sequence[Record] = []
        if device not in self._budgeted:
            rows = await self._pool.fetch(_LEASE, *arguments, False)
            if rows and rows[0]["budgeted"]:
                self._budgeted.add(device)
        if device in self._budgeted:
            # What budgets have left must be read after the lock was given, so by a statement of its own.
            async with self._pool.acquire() as connection, connection.transaction():
                await lock_budgets(connection, device)
                rows = await connection.fetch(_LEASE, *arguments, True)
            if rows and not rows[0]["budgeted"]:
                self._budgeted.discard(device)
        if not rows:
            return None
        jobs = [row for row in rows if row["message_id"] is not None]
        self._floors.learn(device, session, rows[0]["at"], [row["leased_at"] for row in jobs])
        return [LeasedJob(*tuple(row)[:-3]) for row in jobs]

    def freed(self, queues: Iterable[int]) -> None:
        """Work came back to these queues, under the tags that it had."""
        self._floors.forget(queues)

    async def take(self, asked: Sequence[Asked]) -> set[tuple[bytes, int]]:
        """Of the attempts asked for by any number of sessions, those that are theirs to send."""
        rows = await self._pool.fetch(
            _TAKE,
            [ask.message for ask in asked],
            [ask.number for ask in asked],
            [ask.device for ask in asked],
            [ask.session for ask in asked],
            [ask.account for ask in asked],
            self._now() if self._now else None,
        )
        return {(row["message_id"], row["attempt"]) for row in rows}


# One row with a null message says "the session is good, there is nothing", no row says "this session may not work".
# A seat is room for one job on one SIM. Work that any SIM may send is dealt out to the seats in turn; then each SIM
# takes the first of what is dealt or pinned to it. A lease need not survive a crash of the database (what is not leased
# cannot be taken), so nobody waits for its fsync.
#
# Budgets ($11: their rows are locked; without that a SIM that has one gets nothing): room is what the budget has left
# less what is leased already. A text with more parts than the whole budget is not for that SIM and stands in nobody's
# way; one that does not fit yet keeps its place.
_LEASE = f"""
with clock as (
    select coalesce($8::timestamptz, now()) as time
), session as (
    select d.id, set_config('synchronous_commit', 'off', true),
        case when d.paused_at is null then {LEAST_PRIORITY} else {NOTHING_MAY_GO} end as least_priority,
        exists (select from budgets b where b.device_id = d.id) as budgeted
    from devices d cross join clock left join accounts a on a.id = d.account_id
    where d.id = $2 and d.account_id = $1 and d.session = $3 and d.approved and d.closed_at is null
        and d.deleted_at is null
), held as (
    select message_id, attempt, sim, parts, leased_at from work
    where holder = $2 and leased_at >= $9 and session = $3 and state = 'leased'
), used as (
    {USED} where b.device_id = $2 and $11 group by 1, 2, 3, 4
), rooms as (
    select u.slot, min(u.most) as capacity, min(u.most - u.used) - (
        select coalesce(sum(w.parts), 0) from work w
        where w.holder = $2 and w.leased_at >= $9 and w.sim = u.slot and w.state = 'leased'
    ) as parts_left
    from used u where u.most is not null group by u.slot
), wanted as (
    select p.slot, coalesce(r.capacity, {MOST_PARTS}) as capacity, r.parts_left,
        greatest(least(p.places - (select count(*) from held h where h.sim = p.slot), r.parts_left), 0) as need
    from unnest($4::smallint[], $5::int[]) as p (slot, places) left join rooms r using (slot)
    where exists (select from session where least_priority < {NOTHING_MAY_GO} and ($11 or not budgeted))
), seats as (
    select slot, row_number() over (order by nth, capacity desc, slot) as seat
    from wanted, generate_series(1, need) as nth
), candidates as (
    select w.*, q.slot
    from unnest($6::bigint[], $7::smallint[], $10::bigint[]) as q (queue, slot, floor) cross join lateral (
        select message_id, prio, tag, parts from work
        where work.queue = q.queue and state = 'ready' and tag >= q.floor and valid_until > now()
            and prio >= (select least_priority from session)
            and parts <= (select max(capacity) from wanted s where s.slot = coalesce(q.slot, s.slot))
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
    select s.message_id, s.slot, row_number() over of_slot as place, sum(s.parts) over of_slot as parts_of_slot,
        row_number() over of_all as place_of_all, sum(s.parts) over of_all as parts_of_all
    from seated s join wanted w using (slot)
    where s.parts <= w.capacity
    window of_slot as (partition by s.slot order by s.prio desc, s.tag rows unbounded preceding),
        of_all as (order by s.prio desc, s.tag rows unbounded preceding)
), leased as (
    update work set state = 'leased', holder = $2, session = $3, sim = r.slot, leased_at = now()
    from ranked r join wanted using (slot)
    where work.message_id = r.message_id and r.place <= wanted.need
        and (wanted.parts_left is null or r.parts_of_slot <= wanted.parts_left)
        and (r.parts_of_all <= {MAX_LEASED_PARTS} or r.place_of_all = 1)
    returning work.message_id, work.attempt, work.sim, work.prio, work.tag, work.leased_at
)
select j.message_id, j.attempt, j.sim, m.recipient, m.text, m.channel,
    extract(epoch from m.valid_until)::float8 as valid_until, m.media_url,
    coalesce(b.delay_min_ms + floor(random() * (b.delay_max_ms - b.delay_min_ms + 1)), 0)::int as wait_ms,
    j.leased_at, now() as at, session.budgeted
from session
left join (
    select message_id, attempt, sim, leased_at, 0 as fresh, 0 as prio, 0 as tag from held
    union all
    select message_id, attempt, sim, leased_at, 1, prio, tag from leased
) j on true
left join messages m on m.id = j.message_id
left join budgets b on b.device_id = session.id and b.slot = j.sim
order by j.fresh, j.prio desc, j.tag
"""

# Each row is looked up by its id: a holder is set exactly while a row is leased or taken, and naming those states would
# make the planner read all that is held instead. A taking counts against the budget for good; a lease that ends untaken
# never has.
_TAKE = f"""
with clock as (
    select coalesce($6::timestamptz, now()) as time
), asked as (
    select * from unnest($1::bytea[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[])
    as t (message_id, number, device_id, session, account_id)
), locked as (
    select w.message_id, w.state as old_state
    from (select * from asked order by message_id) a cross join lateral (
        select message_id, state from work
        where message_id = a.message_id and holder = a.device_id and session = a.session and attempt = a.number
            and account_id = a.account_id and valid_until > now()
        for update
    ) w
), taken as (
    update work w set state = 'taken', taken_at = coalesce(w.taken_at, now())
    from locked where w.message_id = locked.message_id
    returning w.message_id, w.attempt, w.account_id, w.holder, w.sim, w.session, w.taken_at, w.parts, locked.old_state
), charged as (
    select holder, sim, parts from taken where old_state = 'leased'
), used as (
    {CHARGE}
), logged as (
    insert into attempts (message_id, number, account_id, device_id, sim, session, journal, state, taken_at)
    select t.message_id, t.attempt, t.account_id, t.holder, t.sim, t.session, d.journal, 'taken', t.taken_at
    from taken t join devices d on d.id = t.holder
    order by t.message_id
    on conflict (message_id, number) do nothing
)
select message_id, attempt from taken
"""
