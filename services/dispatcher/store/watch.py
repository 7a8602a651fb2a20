"""What needs a person's eye: messages that wait too long, outcomes that nobody knows, phones that do not report."""

from shared.contracts.rpc.messages import Flag
from shared.db.pool import Pool

LATE_S = 60
"""Ready work that has waited this many seconds is flagged."""

UNREPORTED_S = 120
"""A phone that is online and has held taken work without a report for this many seconds is flagged."""

UNKNOWN_WITHIN_H = 24
"""Messages of the last hours that are `unknown` are flagged."""


class Watch:
    """Reads what is out of the ordinary."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def flags(self) -> list[Flag]:
        """One flag for each kind of trouble, account and phone, the oldest trouble first."""
        rows = await self._pool.fetch(_FLAGS, LATE_S, UNREPORTED_S, UNKNOWN_WITHIN_H)
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


# Queues with ready work are found by index steps; only what is late in them is counted, and no further than 10,000.
_FLAGS = """
with recursive steps as (
    (select queue from work where state = 'ready' order by queue limit 1)
    union all
    select (select w.queue from work w where w.state = 'ready' and w.queue > s.queue order by w.queue limit 1)
    from steps s where s.queue is not null
), late as (
    select q.*, w.messages, w.oldest_s,
        exists (
            select from devices d
            where d.account_id = q.account_id and d.closed_at is null and d.deleted_at is null and d.approved
                and d.renewed_at > now() - interval '30 seconds' and q.channel = any(d.channels)
                and coalesce(q.device_id, d.id) = d.id
                and (q.sim is null or exists (select from sims s where s.device_id = d.id and s.slot = q.sim))
        ) as served
    from steps join queues q on q.id = steps.queue
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
group by w.account_id, w.holder
union all
select 'unknown', account_id, device_id, count(*)::int, max(extract(epoch from now() - accepted_at))::float8
from messages
where state = 'unknown' and deleted_at is null
    and id > decode(
        lpad(to_hex((extract(epoch from now() - make_interval(hours => $3)) * 1000)::bigint), 12, '0'), 'hex'
    )
group by account_id, device_id
order by oldest_s desc
limit 1000
"""
