"""What the feeder does to a campaign's rows and their messages in `work`: each step may be repeated after a crash."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from services.dispatcher.states import CANCELED_CHANGE, CHANGES_PER_ATTEMPT
from services.dispatcher.store.lanes import TAGGED
from services.dispatcher.store.queues import ReadyCount
from services.dispatcher.store.unsearched import unsearched
from services.dispatcher.store.work import TRY_LOCK
from shared.contracts.rpc.campaigns import CampaignStatus
from shared.db.pool import Pool

OPEN_PER_TICK = 500
"""One tick looks at so many campaigns at most."""

RESTING: Final = ("sent", "delivered", "failed", "expired", "canceled", "unknown")
"""States of a message at rest; a campaign has a counter for each."""

HOLD_AHEAD_S = 5
"""A retry that is due within so many seconds is held too: it would be ready before the next look."""

COUNTED_H = 24
"""Counters follow late reports for so many hours after a campaign's end."""

SUBMITTER = "campaign:"
"""A campaign's messages are submitted by this and its id, so that fairness counts each campaign by itself."""


class OpenCampaign(NamedTuple):
    """A campaign that has begun and has not ended."""

    id: str
    account: int
    status: CampaignStatus
    text: str
    channel: str
    priority: int
    device: str | None
    sim: int | None
    valid_s: int
    unfed: int

    @property
    def submitter(self) -> str:
        """Whose messages these are."""
        return SUBMITTER + self.id


class Fed(NamedTuple):
    """How many rows are fed and not at rest; how many of them are held, and have an id but no message yet."""

    rows: int
    held: int
    missing: int


class MissingRow(NamedTuple):
    """A row that has its id and no message yet."""

    message: bytes
    recipient: str
    text: str


class Feeding:
    """Feeds campaigns into `work`, holds them there, and counts what became of them."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    @contextlib.asynccontextmanager
    async def turn(self, job: str) -> AsyncIterator[bool]:
        """Whether this replica does the job in this tick.

        The lock saves double work only: every statement here is right in two replicas at once.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            yield await connection.fetchval(TRY_LOCK, f"dispatcher.{job}")

    async def open_campaigns(self) -> list[OpenCampaign]:
        """Those to look after: first what was changed since the last look, then the one longest not looked at."""
        return [OpenCampaign(*row) for row in await self._pool.fetch(_OPEN, OPEN_PER_TICK)]

    async def settle(self, campaign: str) -> Fed:
        """Counts the rows whose messages have come to rest; returns what is still fed."""
        (row,) = await self._pool.fetch(_SETTLE, campaign)
        return Fed(*row)

    async def reserve(self, campaign: str, window: int, ids: Sequence[bytes]) -> int:
        """Gives these ids to the next rows of an active campaign, until `window` rows are fed; returns how many."""
        async with self._pool.acquire() as connection, connection.transaction():
            # Whoever waited here sees what the one before has fed, and a pause that came first is kept.
            if not await connection.fetchval(_LOCK_ACTIVE, campaign):
                return 0
            count: int = await connection.fetchval(_RESERVE, campaign, window, list(ids))
            return count

    async def missing(self, campaign: str, limit: int) -> list[MissingRow]:
        """The rows that have an id and no message: just reserved, or cut off by a crash."""
        return [MissingRow(*row) for row in await self._pool.fetch(_MISSING, campaign, limit)]

    async def refuse(self, campaign: str, message: bytes) -> None:
        """Counts a row as failed whose message Postgres does not even log."""
        await self._pool.execute(_REFUSE, campaign, message)

    async def hold(self, campaign: str) -> int:
        """Takes what no phone has out of the queues until it is released; returns how many messages."""
        count: int = await self._pool.fetchval(_HOLD, campaign, HOLD_AHEAD_S)
        return count

    async def release(self, campaign: OpenCampaign) -> list[ReadyCount]:
        """Readies what was held, behind what is first now; returns the queues that have work."""
        return [ReadyCount(*row) for row in await self._pool.fetch(_RELEASE, campaign.id, campaign.submitter)]

    async def cancel(self, campaign: str, limit: int) -> int:
        """Cancels what no phone has taken, a bounded number at once; returns how many were looked at."""
        count: int = await self._pool.fetchval(_CANCEL, campaign, limit)
        return count

    async def end(self, campaign: str) -> bool:
        """Ends a campaign of which nothing is fed and nothing more will be; whether it has ended by this call."""
        ended: bool = await self._pool.fetchval(_END, campaign, SUBMITTER)
        return ended

    async def recount(self, limit: int) -> bool:
        """Lets the counters of one campaign follow what was told of its next rows at rest.

        False when every campaign was looked at in the last second.
        """
        return await self._pool.fetchval(_RECOUNT, limit, COUNTED_H) is not None


_OPEN = """
select id, account_id, status, text, channel, priority, wanted_device_id, wanted_sim, valid_s, total - fed
from campaigns
where ended_at = 'infinity' and status <> 'draft' and (status = 'canceled' or starts_at <= now())
order by looked_at > changed_at, looked_at limit $1
"""

_COUNT = ", ".join(
    f"{each} = c.{each} + (select coalesce(sum(change), 0) from changes where state = '{each}')" for each in RESTING
)
"""Applies `changes (state, change)` to the counters of `campaigns c`."""

_HELD = "w.state = 'later' and w.due = w.valid_until"
"""Out of the queues for as long as it is valid; nothing else is due only when it is over."""

# What is not in `work` and has a row in the log is at rest. Its own text is in the log as well. The limits of 1 keep
# these statements from reading the whole log, which may be a thousand times as large as what they ask about.
_SETTLE = f"""
with live as (
    select r.row, r.message_id, w.state is null as gone, {_HELD} as held
    from campaign_rows r
    left join lateral (select state, due, valid_until from work where message_id = r.message_id limit 1) w on true
    where r.campaign_id = $1 and r.state = 'fed'
), rested as (
    select l.row, case when m.state in ('scheduled', 'queued') then 'unknown' else m.state end as state
    from live l cross join lateral (select state from messages where id = l.message_id limit 1) m
    where l.gone
), changes as (
    update campaign_rows r set state = s.state, text = null from rested s
    where r.campaign_id = $1 and r.row = s.row and r.state = 'fed'
    returning r.state, 1 as change
), counted as (
    update campaigns c set looked_at = now(), {_COUNT} where c.id = $1
)
select count(*)::int - (select count(*)::int from rested), count(*) filter (where held)::int,
    count(*) filter (where gone)::int - (select count(*)::int from rested)
from live
"""

_LOCK_ACTIVE = "select 1 from campaigns where id = $1 and status = 'active' for no key update"

_RESERVE = """
with next as (
    select row, row_number() over (order by row) as place from (
        select row from campaign_rows where campaign_id = $1 and state = 'unfed' order by row
        limit least(
            cardinality($3::bytea[]),
            greatest(0, $2::int - (select count(*) from campaign_rows where campaign_id = $1 and state = 'fed'))
        )
    ) rows
), named as (
    update campaign_rows r set state = 'fed', message_id = ($3::bytea[])[n.place] from next n
    where r.campaign_id = $1 and r.row = n.row
    returning 1
), counted as (
    update campaigns set fed = fed + (select count(*) from named) where id = $1
)
select count(*)::int from named
"""

_MISSING = """
select r.message_id, r.recipient, coalesce(r.text, c.text)
from campaign_rows r join campaigns c on c.id = r.campaign_id
left join lateral (select id from messages where id = r.message_id limit 1) m on true
where r.campaign_id = $1 and r.state = 'fed' and m.id is null
order by r.row limit $2
"""

_REFUSE = """
with refused as (
    update campaign_rows set state = 'failed', text = null
    where campaign_id = $1 and message_id = $2 and state = 'fed' returning 1
)
update campaigns set failed = failed + (select count(*) from refused) where id = $1
"""

_HOLD = f"""
with found as (
    select w.message_id from campaign_rows r join work w using (message_id)
    where r.campaign_id = $1 and r.state = 'fed'
        and (w.state = 'ready' or w.state = 'later' and w.due < now() + make_interval(secs => $2::int))
        and not ({_HELD})
    order by w.message_id for update of w skip locked
), held as (
    update work w set state = 'later', due = w.valid_until from found f where w.message_id = f.message_id
    returning w.message_id
), {unsearched("held")}
select count(*)::int from held
"""

_RELEASE = f"""
with held as (
    select w.message_id as id, w.queue, w.parts, w.tag from campaign_rows r join work w using (message_id)
    where r.campaign_id = $1 and r.state = 'fed' and {_HELD}
    order by w.message_id for update of w
), fresh as (
    select id, queue, $2::text as submitter, parts, row_number() over (order by tag) as place from held
), {TAGGED}, released as (
    update work w set state = 'ready', due = now(), tag = t.tag from tagged t where w.message_id = t.id
    returning w.queue, w.message_id
), {unsearched("released")}
select queue, count(*)::int from released group by queue
"""

_CANCEL = f"""
with waiting as (
    select w.message_id from campaign_rows r join work w using (message_id)
    where r.campaign_id = $1 and r.state = 'fed' and w.state <> 'taken'
    order by w.message_id limit $2
), found as (
    select id from messages where id in (select message_id from waiting) order by id for update
), gone as (
    delete from work w using found f where w.message_id = f.id and w.state <> 'taken'
    returning w.message_id, w.attempt, w.account_id
), ended as (
    update messages m set state = 'canceled', reason = 'canceled', attempt = g.attempt, ended_at = now()
    from gone g where m.id = g.message_id
), told as (
    insert into history (message_id, number, at, state, attempt, detail)
    select message_id, attempt * {CHANGES_PER_ATTEMPT} + {CANCELED_CHANGE}, now(), 'canceled', attempt, 'campaign'
    from gone
    on conflict do nothing
), announced as (
    insert into outbox (account_id, type, occurred_at, message_id, number)
    select account_id, 'sms.failed', now(), message_id, attempt * {CHANGES_PER_ATTEMPT} + {CANCELED_CHANGE} from gone
), {unsearched("gone")}
select count(*)::int from waiting
"""

# Ended campaigns leave one lane together, so that an empty queue still begins where its last lane ended.
_END = """
with ended as (
    update campaigns c set status = case status when 'canceled' then 'canceled' else 'done' end, ended_at = now()
    where id = $1 and ended_at = 'infinity'
        and (status = 'canceled' or status in ('active', 'paused') and fed = total)
        and not exists (select from campaign_rows r where r.campaign_id = $1 and r.state = 'fed')
    returning id
), left_lanes as (
    delete from lanes l using ended e where l.submitter = $2 || e.id returning l.queue, l.last_tag
), together as (
    insert into lanes as l (queue, submitter, last_tag) select queue, $2, last_tag from left_lanes order by queue
    on conflict (queue, submitter) do update set last_tag = greatest(l.last_tag, excluded.last_tag)
)
select exists (select from ended)
"""

_RECOUNT = f"""
with chosen as (
    select id, counted_row from campaigns
    where ended_at > now() - make_interval(hours => $2) and fed > delivered and counted_at < now() - interval '1 second'
    order by counted_at limit 1
), looked as (
    select r.row, r.state, r.message_id from chosen c join campaign_rows r on r.campaign_id = c.id
    where r.row > c.counted_row and r.state in ('sent', 'failed', 'expired', 'canceled', 'unknown')
    order by r.row limit $1
), told as (
    select l.row, l.state as old, m.state as new
    from looked l cross join lateral (select state from messages where id = l.message_id limit 1) m
    where m.state <> l.state and m.state not in ('scheduled', 'queued')
), moved as (
    update campaign_rows r set state = t.new from told t, chosen c
    where r.campaign_id = c.id and r.row = t.row and r.state = t.old
    returning t.old, t.new
), changes as (
    select new as state, 1 as change from moved union all select old, -1 from moved
)
update campaigns c set counted_at = now(),
    counted_row = case when (select count(*) from looked) < $1 then 0 else (select max(row) from looked) end,
    {_COUNT}
from chosen where c.id = chosen.id
returning c.id
"""
