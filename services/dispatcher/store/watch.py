"""What needs a person's eye: messages that wait too long, outcomes that nobody knows, phones that do not report."""

import json
from typing import NamedTuple

from services.dispatcher.store.phones import APP_PROTOCOLS
from shared.contracts.rpc.messages import Flag
from shared.db.pool import Pool

LATE_S = 60
"""Ready work that has waited this many seconds is flagged."""

UNREPORTED_S = 120
"""A phone that is online and has held taken work without a report for this many seconds is flagged."""

SILENT_RECEIVER_S = 1200
"""A phone of the app tells its health every 5 minutes; none for this many seconds while it is online is flagged."""

CLOCK_OFF_S = 60
DOUBTED_WITHIN_H = 24
"""A clock that was off by more seconds is flagged, and one on which a fresh text expired in the last hours."""

UNKNOWN_WITHIN_H = 24
"""Messages of the last hours that are `unknown` are flagged."""


class Figures(NamedTuple):
    """How much there is, over all accounts; no more than 200,000 rows are looked at. Seconds are 0 for nothing."""

    work: dict[str, int]
    oldest_ready_s: float
    unknown: int
    online: int
    offline: int
    outbox: int
    outbox_lag_s: float
    search_lag_s: float


class Watch:
    """Reads what is out of the ordinary, and how much there is of the ordinary."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def figures(self) -> Figures:
        """Reads them all in one statement."""
        (row,) = await self._pool.fetch(_FIGURES, UNKNOWN_WITHIN_H)
        work = dict.fromkeys(("later", "ready", "leased", "taken"), 0) | json.loads(row["work"])
        return Figures(
            work,
            row["oldest_ready_s"],
            row["unknown"],
            row["online"],
            row["offline"],
            row["outbox"],
            row["outbox_lag_s"],
            row["search_lag_s"],
        )

    async def flags(self, account: int | None = None) -> list[Flag]:
        """One flag for each kind of trouble, account and phone, the oldest trouble first. None: of all accounts."""
        rows = await self._pool.fetch(
            _FLAGS,
            LATE_S,
            UNREPORTED_S,
            UNKNOWN_WITHIN_H,
            list(APP_PROTOCOLS),
            SILENT_RECEIVER_S,
            CLOCK_OFF_S,
            DOUBTED_WITHIN_H,
            account,
        )
        return [
            Flag(
                kind=row["kind"],
                account=row["account_id"],
                device=row["device_id"],
                messages=row["messages"],
                oldest_s=row["oldest_s"],
            )
            for row in rows
        ]


_FIGURES = """
with live as (
    select state, count(*) as messages, min(due) as oldest
    from (select state, due from work limit 200000) w group by state
), waiting as (
    select count(*) as events, min(occurred_at) as oldest from (select occurred_at from outbox limit 200000) o
)
select coalesce((select jsonb_object_agg(state, messages) from live), '{}')::text as work,
    coalesce(extract(epoch from now() - (select oldest from live where state = 'ready')), 0)::float8 as oldest_ready_s,
    (
        select count(*) from messages where state = 'unknown' and deleted_at is null and id > decode(
            lpad(to_hex((extract(epoch from now() - make_interval(hours => $1)) * 1000)::bigint), 12, '0'), 'hex'
        )
    ) as unknown,
    (select count(*) from devices where deleted_at is null and present) as online,
    (select count(*) from devices where deleted_at is null and not present) as offline,
    w.events as outbox, coalesce(extract(epoch from now() - w.oldest), 0)::float8 as outbox_lag_s,
    coalesce(extract(epoch from now() - (select noted_at from unsearched order by id limit 1)), 0)::float8
        as search_lag_s
from waiting w
"""

# Queues with ready work are found by index steps, those of one account by its list; only what is late in them is
# counted, and no further than 10,000.
_FLAGS = """
with recursive steps as (
    (select queue from work where state = 'ready' and $8::bigint is null order by queue limit 1)
    union all
    select (select w.queue from work w where w.state = 'ready' and w.queue > s.queue order by w.queue limit 1)
    from steps s where s.queue is not null
), looked_at as (
    select queue from steps
    union all
    select id from queues where account_id = $8
), late as (
    select q.*, w.messages, w.oldest_s,
        exists (
            select from devices d
            where d.account_id = q.account_id and d.closed_at is null and d.deleted_at is null and d.approved
                and d.renewed_at > now() - interval '30 seconds' and q.channel = any(d.channels)
                and coalesce(q.device_id, d.id) = d.id
                and (q.sim is null or exists (select from sims s where s.device_id = d.id and s.slot = q.sim))
        ) as served
    from looked_at join queues q on q.id = looked_at.queue
    cross join lateral (
        select count(*)::int as messages, max(extract(epoch from now() - due))::float8 as oldest_s from (
            select due from work
            where queue = q.id and state = 'ready' and due < now() - make_interval(secs => $1)
            limit 10000
        ) old
    ) w
    where w.messages > 0
)
select case when served then 'late' else 'no_phone' end as kind, account_id, device_id, sum(messages)::int as messages,
    max(oldest_s) as oldest_s
from late group by 1, 2, 3
union all
select 'unreported', w.account_id, w.holder, count(*)::int, max(extract(epoch from now() - w.taken_at))::float8
from work w join devices d on d.id = w.holder
where w.state = 'taken' and w.taken_at < now() - make_interval(secs => $2)
    and d.closed_at is null and d.renewed_at > now() - interval '30 seconds'
    and ($8::bigint is null or w.account_id = $8)
group by w.account_id, w.holder
union all
select 'unknown', account_id, device_id, count(*)::int, max(extract(epoch from now() - accepted_at))::float8
from messages
where state = 'unknown' and deleted_at is null
    and id > decode(
        lpad(to_hex((extract(epoch from now() - make_interval(hours => $3)) * 1000)::bigint), 12, '0'), 'hex'
    )
    and ($8::bigint is null or account_id = $8)
group by account_id, device_id
union all
select f.kind, d.account_id, d.id, 0, extract(epoch from now() - f.since)::float8
from devices d left join apps p on p.device_id = d.id
cross join lateral (values
    ('wrong_clock', case
        when abs(p.clock_off_s) > $6 then p.hooked_at
        when p.clock_doubted_at > now() - make_interval(hours => $7) then p.clock_doubted_at
    end),
    ('silent_receiver', case
        when d.closed_at is null and d.renewed_at > now() - interval '30 seconds'
        then greatest(p.hooked_at, d.created_at)
    end)
) as f (kind, since)
where d.protocol = any($4) and d.deleted_at is null and f.since is not null
    and (f.kind = 'wrong_clock' or f.since < now() - make_interval(secs => $5))
    and ($8::bigint is null or d.account_id = $8)
order by oldest_s desc
limit 1000
"""
