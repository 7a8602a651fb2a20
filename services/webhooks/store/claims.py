"""Deliveries that are due, claimed fairly under a lease."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.webhooks.breaker import REPLAY_SHARE
from shared.db.pool import Pool

LEASE_S: Final = 20.0
"""A claimed delivery that nobody completes is due again after this many seconds: the longest attempt and a margin."""


@dataclass(frozen=True)
class Claimed:
    """A delivery that is this worker's until its lease ends.

    `version` of the endpoint as it is now; `used_up` counts the attempts that the schedule has spent before this one,
    `tries` all posts including this one. `failing_s`: seconds since the first try.
    """

    id: int
    claim: UUID
    endpoint: str
    version: int
    event: UUID
    type: str
    body: bytes
    used_up: int
    tries: int
    failing_s: float


class Claims:
    """Hands out what is due."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def claim(self, claim: UUID, count: int) -> list[Claimed]:
        """At most `count` due deliveries under the lease, shared out fairly: endpoints with few under way first.

        No endpoint gets beyond its window, whoever else claims at the same moment. A lease that ended without a result
        becomes an attempt of unknown outcome, which uses up nothing.
        """
        rows = await self._pool.fetch(_CLAIM, claim, count, LEASE_S)
        return [Claimed(claim=claim, **row) for row in rows]


# Endpoints are found by jumping from one to the next in the index of what is pending, so that neither the many that
# have nothing nor the many deliveries of one cost anything. Only their state rows are locked. A row that was changed
# by a claim that this statement's snapshot does not show is passed over: its deliveries under way would be miscounted.
_CLAIM = f"""
with recursive waiting (id) as (
    (select endpoint_id from deliveries where state = 'pending' order by endpoint_id limit 1)
    union all
    select (
        select d.endpoint_id from deliveries d
        where d.state = 'pending' and d.endpoint_id > w.id order by d.endpoint_id limit 1
    )
    from waiting w where w.id is not null
), ready as materialized (
    select e.id, e.version, h.held, h.replayed
    from waiting w
         join endpoints e on e.id = w.id and e.state = 'enabled' and e.deleted_at is null
         join endpoint_state s on s.endpoint_id = e.id
         cross join lateral (
             select count(*)::int as held, (count(*) filter (where lane = 'replay'))::int as replayed
             from deliveries
             where endpoint_id = e.id and state = 'pending' and claim is not null and next_attempt_at > now()
         ) h
    where case
        when s.width = 0 then h.held = 0 and s.probe_at <= now()
        -- Asked for in the index's order: where many match, the planner would look for them in the table itself.
        else h.held < s.width and least(
            (
                select next_attempt_at from deliveries
                where endpoint_id = e.id and state = 'pending' and lane = 'live' order by next_attempt_at limit 1
            ),
            (
                select next_attempt_at from deliveries
                where endpoint_id = e.id and state = 'pending' and lane = 'replay' order by next_attempt_at limit 1
            )
        ) <= now()
    end
    order by h.held, random()
    limit $2
), locked as materialized (
    select endpoint_id as id, width
    from endpoint_state
    where endpoint_id = any(array(select id from ready))
      and (claim_xid is null or pg_visible_in_snapshot(claim_xid, pg_current_snapshot()))
    for no key update skip locked
), room as materialized (
    select r.id, r.version, r.replayed, l.width = 0 as probing,
        least(case when l.width = 0 then 1 else l.width - r.held end, greatest(1, $2 / count(*) over ())) as places,
        greatest(1, l.width / {REPLAY_SHARE}) - r.replayed as replay_places
    from ready r join locked l using (id)
), picked as materialized (
    select d.*, r.id as endpoint, r.version
    from room r cross join lateral (
        select * from (
            select * from (
                select id, claim, claimed_at, tries from deliveries
                where endpoint_id = r.id and state = 'pending' and lane = 'live'
                  and next_attempt_at <= case when r.probing then 'infinity' else now() end
                order by next_attempt_at
                limit greatest(0, r.places)
                for update skip locked
            ) live
            union all
            select * from (
                select id, claim, claimed_at, tries from deliveries
                where endpoint_id = r.id and state = 'pending' and lane = 'replay'
                  and next_attempt_at <= case when r.probing then 'infinity' else now() end
                order by next_attempt_at
                limit greatest(0, least(r.places, r.replay_places))
                for update skip locked
            ) replay
        ) each
        limit greatest(0, r.places)
    ) d
    limit $2
), lapsed as (
    insert into delivery_attempts (delivery_id, number, started_at, error, detail)
    select id, tries, claimed_at, 'unknown', 'Its worker stopped; nobody knows what came of it.'
    from picked where claim is not null and claimed_at is not null
), marked as (
    update endpoint_state s set claim_xid = pg_current_xact_id()
    from (select distinct endpoint from picked) p
    where s.endpoint_id = p.endpoint
), quick as materialized (
    -- A claim that a crash of the database takes back is made again.
    select set_config('synchronous_commit', 'off', true)
)
update deliveries d
set claim = $1, claimed_at = now(), tries = d.tries + 1, first_attempt_at = coalesce(d.first_attempt_at, now()),
    next_attempt_at = now() + $3::float8 * interval '1 second'
from picked p, quick
where d.id = p.id
returning d.id, p.endpoint, p.version, d.event_id as event, d.type, d.body, d.attempts::int as used_up, d.tries,
    extract(epoch from now() - d.first_attempt_at)::float8 as failing_s
"""
