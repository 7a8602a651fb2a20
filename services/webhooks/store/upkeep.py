"""What time does to endpoints and deliveries: expiry, disabling, removal of what is old; and how things stand."""

from dataclasses import dataclass

from services.webhooks.breaker import DISABLE_AFTER_DAYS
from services.webhooks.store.results import sentence_of
from shared.db.pool import Pool

TRY_LOCK = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))"
"""Taken inside a tick's transaction; whoever gets it does this tick."""


@dataclass(frozen=True)
class Standing:
    """How all endpoints stand: undelivered events, seconds that the oldest due one waits, open breakers."""

    pending: int
    oldest_due_s: float
    open_breakers: int
    disabled: int


class Upkeep:
    """The verbs of the periodic jobs; each is bounded, and one replica at a time does it."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def disable_dead(self) -> list[str]:
        """Disables endpoints that have done nothing but fail for 5 days, and tells of it; returns their ids."""
        return [row["id"] for row in await self._pool.fetch(_DISABLE_DEAD, DISABLE_AFTER_DAYS)]

    async def expire(self, days: int, limit: int) -> int:
        """Ends deliveries that have waited longer than so many days; returns how many, at most `limit` an endpoint."""
        expired: int = await self._pool.fetchval(_EXPIRE, days, limit)
        return expired

    async def forget(self, days: int, limit: int) -> int:
        """Removes deliveries that have been at rest for so many days; how many, at most `limit` an endpoint."""
        forgotten: int = await self._pool.fetchval(_FORGET, days, limit)
        return forgotten

    async def standing(self) -> Standing:
        """How things stand now."""
        (row,) = await self._pool.fetch(_STANDING)
        return Standing(**row)


_DISABLE_DEAD = f"""
with dead as materialized (
    select s.endpoint_id, s.account_id, s.last_error
    from endpoint_state s join endpoints e on e.id = s.endpoint_id
    where s.width = 0 and s.failing_since < now() - make_interval(days => $1)
      and e.state = 'enabled' and e.deleted_at is null
    order by s.endpoint_id
    for no key update of s skip locked
), disabled as (
    update endpoints e
    set state = 'disabled', state_since = now(),
        reason = format('It has failed for %s days: %s', $1, {sentence_of("d.last_error")})
    from dead d
    where e.id = d.endpoint_id and e.state = 'enabled'
    returning e.id, e.reason, e.account_id
), told as (
    insert into endpoint_events (account_id, endpoint_id, type, reason)
    select account_id, id, 'endpoint.disabled', reason from disabled
)
select id from disabled
"""

_EXPIRE = """
with old as materialized (
    select d.id, d.endpoint_id
    from endpoint_state s cross join lateral (
        select id, endpoint_id, queued_at from deliveries
        where endpoint_id = s.endpoint_id and state = 'pending'
        order by id limit $2
    ) d
    where d.queued_at < now() - make_interval(days => $1)
), locked as materialized (
    select endpoint_id from endpoint_state
    where endpoint_id = any(array(select distinct endpoint_id from old))
    order by endpoint_id
    for no key update
), expired as (
    update deliveries d set state = 'expired', ended_at = now(), claim = null
    from old o join locked l using (endpoint_id)
    where d.id = o.id and d.state = 'pending'
    returning d.endpoint_id
), counted as (
    update endpoint_state s set pending = s.pending - e.count, expired = s.expired + e.count
    from (select endpoint_id, count(*) as count from expired group by endpoint_id) e
    where s.endpoint_id = e.endpoint_id
), told as (
    insert into endpoint_events (account_id, endpoint_id, type, reason)
    select s.account_id, e.endpoint_id, 'endpoint.failing',
        format('%s event(s) have waited for %s days and are no longer sent', count(*), $1)
    from expired e join endpoint_state s using (endpoint_id)
    group by s.account_id, e.endpoint_id
)
select count(*)::int from expired
"""

_FORGET = """
with old as (
    delete from deliveries where id in (
        select d.id
        from endpoints e cross join lateral (
            select id, created_at, ended_at from deliveries
            where endpoint_id = e.id and state <> 'pending'
            order by id limit $2
        ) d
        where d.created_at < now() - make_interval(days => $1) and d.ended_at < now() - make_interval(days => $1)
    )
    returning id
)
select count(*)::int from old
"""

_STANDING = """
select coalesce(sum(s.pending), 0)::bigint as pending,
    coalesce(max(extract(epoch from now() - d.next_attempt_at)) filter (where e.state = 'enabled'), 0)::float8
        as oldest_due_s,
    (count(*) filter (where s.width = 0 and e.state = 'enabled'))::int as open_breakers,
    (count(*) filter (where e.state = 'disabled'))::int as disabled
from endpoint_state s
     join endpoints e on e.id = s.endpoint_id and e.deleted_at is null
     left join lateral (
         select next_attempt_at from deliveries
         where endpoint_id = s.endpoint_id and state = 'pending' and lane = 'live' and next_attempt_at <= now()
         order by next_attempt_at limit 1
     ) d on true
"""
