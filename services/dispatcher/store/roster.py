"""Reads the phones as they are: who is online and how busy, for the choice of phones and as events."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.dispatcher.routing import OnlinePhone, QueueKey
from services.dispatcher.store.work import LEASE_S, in_turn
from shared.db.pool import Pool

ONLINE_AFTER_S = 2
"""A phone counts as present when its session has lasted this many seconds: one that comes and goes is not."""

OFFLINE_AFTER_S = 60
"""A phone counts as absent after this many seconds without a live session."""

PACE_FADES_S = 600
"""What a phone did this many seconds ago counts for a third of what it does now."""

LEAST_SENDS = 3
"""Fewer sends than these say nothing about a phone."""

LOOKED_AT = 500
"""No more waiting rows than these are added up to see how busy a phone is."""


class Pace(NamedTuple):
    """What phones did since the last look: sends that went well and that failed, and how long the good ones took."""

    device: str
    succeeded: int
    failed: int
    seconds: float


class Head(NamedTuple):
    """The first of a queue's ready work."""

    queue: int
    key: QueueKey
    tag: int


class Roster:
    """Reads phones, and keeps what was learned about them."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def online(self) -> tuple[Sequence[OnlinePhone], Mapping[QueueKey, int]]:
        """Every phone with a live session that may work, and the parts that wait for any phone of their accounts."""
        rows = await self._pool.fetch(_ONLINE, LEASE_S, LOOKED_AT, PACE_FADES_S, LEAST_SENDS)
        phones = [
            OnlinePhone(
                row["id"],
                row["account_id"],
                tuple(row["channels"]),
                tuple(row["slots"]),
                row["seconds_each"],
                row["per_s"],
                row["ahead"],
                row["failure_rate"],
            )
            for row in rows
        ]
        waiting = await self._pool.fetch(_BACKLOG, list({phone.account for phone in phones}), LOOKED_AT)
        return phones, {QueueKey(row["account_id"], None, None, row["channel"]): row["parts"] for row in waiting}

    async def tell_presence(self) -> list[int]:
        """Phones that came or went are told as events; returns their accounts, none while another replica does it."""
        rows = await self._pool.fetch(_PRESENCE, LEASE_S, ONLINE_AFTER_S, OFFLINE_AFTER_S)
        return [row["account_id"] for row in rows]

    async def keep_paces(self, paces: Sequence[Pace]) -> None:
        """Adds what phones did to what is known of them."""
        await self._pool.execute(
            _KEEP_PACES,
            [pace.device for pace in paces],
            [pace.succeeded for pace in paces],
            [pace.failed for pace in paces],
            [pace.seconds for pace in paces],
            PACE_FADES_S,
        )

    async def heads(self) -> list[Head]:
        """The head of each queue that has ready work."""
        return [
            Head(row["queue"], QueueKey(row["account_id"], row["device_id"], row["sim"], row["channel"]), row["tag"])
            for row in await self._pool.fetch(_HEADS)
        ]

    async def keep_outlooks(self, heads: Sequence[Head], parts_per_s: Sequence[float]) -> None:
        """Writes down how fast each queue is likely to move; forgets those that have nothing ready."""
        await self._pool.execute(
            _KEEP_OUTLOOKS, [head.queue for head in heads], [head.tag for head in heads], list(parts_per_s)
        )


_LIVE = "d.closed_at is null and d.renewed_at > now() - make_interval(secs => $1::int)"

_FADED = "exp(-extract(epoch from now() - p.at) / $3::int)"

_ONLINE = f"""
select d.id, d.account_id, d.channels,
    array(select slot from sims s where s.device_id = d.id order by slot) as slots,
    case when p.succeeded * f.fade >= $4 then p.seconds / p.succeeded end as seconds_each,
    case when (p.succeeded + p.failed) * f.fade >= $4 then p.failed / (p.succeeded + p.failed) else 0 end
        as failure_rate,
    (
        select sum(least(b.per_minute / 60.0, b.per_hour / 3600.0, b.per_day / 86400.0))::float8
        from budgets b where b.device_id = d.id
        having bool_and(coalesce(b.per_minute, b.per_hour, b.per_day) is not null)
    ) as per_s,
    (
        (select coalesce(sum(parts), 0) from (
            select parts from work w where w.holder = d.id and w.state in ('leased', 'taken') limit $2
        ) held)
        + (select coalesce(sum(parts), 0) from (
            select w.parts from queues q join work w on w.queue = q.id and w.state = 'ready'
            where q.account_id = d.account_id and q.device_id = d.id limit $2
        ) own)
    )::int as ahead
from devices d left join paces p on p.device_id = d.id
cross join lateral (select {_FADED} as fade) f
where {_LIVE} and d.deleted_at is null and d.approved and d.paused_at is null
order by d.id
"""

_BACKLOG = """
select q.account_id, q.channel, (
    select coalesce(sum(parts), 0)::int
    from (select parts from work w where w.queue = q.id and w.state = 'ready' limit $2) waiting
) as parts
from queues q
where q.account_id = any($1) and q.device_id is null and q.sim is null
"""

_PRESENCE = f"""
with {in_turn("presence")}, came_or_went as (
    select d.id from devices d
    where (select ours from turn) and d.deleted_at is null and case
        when d.present then coalesce(d.closed_at, d.renewed_at + make_interval(secs => $1::int))
            < now() - make_interval(secs => $3::int)
        else {_LIVE} and d.opened_at < now() - make_interval(secs => $2::int)
    end
    order by d.id for update skip locked
), changed as (
    update devices d set present = not d.present, present_since = now()
    from came_or_went c where d.id = c.id
    returning d.id, d.account_id, d.present
), told as (
    insert into outbox (account_id, type, occurred_at, device_id)
    select account_id, case when present then 'device.online' else 'device.offline' end, now(), id from changed
)
select distinct account_id from changed
"""

_KEEP_PACES = """
insert into paces as p (device_id, succeeded, failed, seconds, at)
select *, now() from unnest($1::text[], $2::float8[], $3::float8[], $4::float8[]) order by 1
on conflict (device_id) do update set
    succeeded = p.succeeded * exp(-extract(epoch from now() - p.at) / $5::int) + excluded.succeeded,
    failed = p.failed * exp(-extract(epoch from now() - p.at) / $5::int) + excluded.failed,
    seconds = p.seconds * exp(-extract(epoch from now() - p.at) / $5::int) + excluded.seconds,
    at = now()
"""

_HEADS = """
with recursive steps as (
    (select queue, tag from work where state = 'ready' order by queue, prio desc, tag limit 1)
    union all
    select n.* from steps s cross join lateral (
        select queue, tag from work where state = 'ready' and queue > s.queue order by queue, prio desc, tag limit 1
    ) n
)
select q.id as queue, q.account_id, q.device_id, q.sim, q.channel, s.tag
from steps s join queues q on q.id = s.queue
"""

_KEEP_OUTLOOKS = """
with now_ready as (
    select * from unnest($1::bigint[], $2::bigint[], $3::float8[]) as t (queue, head_tag, parts_per_s)
), gone as (
    delete from outlooks where queue <> all($1)
)
insert into outlooks (queue, head_tag, parts_per_s, at)
select queue, head_tag, parts_per_s, now() from now_ready order by queue
on conflict (queue) do update set
    head_tag = excluded.head_tag, parts_per_s = excluded.parts_per_s, at = excluded.at
"""
