"""Replays: events chosen once more, turned into deliveries in bounded steps, counted and canceled."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from services.webhooks.store.events import NewDelivery
from shared.contracts.rpc.deliveries import Replay
from shared.db.pool import Pool, Row
from shared.errors import Conflict


@dataclass(frozen=True)
class Selection:
    """Which of an account's events are replayed to an endpoint. `types` as they are kept; empty lists mean all."""

    account: int
    endpoint: str
    events: Sequence[str]
    since: float | None
    until: float | None
    types: Sequence[str]
    states: Sequence[str]


@dataclass(frozen=True)
class Step:
    """The next events of a running replay. `missing` ones never had a delivery, so that their bodies must be made."""

    replay: str
    endpoint: str
    account: int
    reached: int
    again: list[UUID]
    missing: list[UUID]

    @property
    def over(self) -> bool:
        """Whether there are no more events."""
        return not self.again and not self.missing


class Replays:
    """The verbs of replays."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def count(self, selection: Selection) -> int | None:
        """How many events match; None when the account has no such endpoint."""
        matched: int | None = await self._pool.fetchval(_COUNT, *_values(selection))
        return matched

    async def create(self, replay: str, selection: Selection) -> Replay | None:
        """Begins it; None when the account has no such endpoint. Raises Conflict while the endpoint has another."""
        try:
            row = await self._pool.fetchrow(_CREATE, *_values(selection), replay)
        except asyncpg.UniqueViolationError:
            raise Conflict("This webhook has a replay that is running.", code="replay_running") from None
        return _replay(row) if row else None

    async def shown(self, account: int, endpoint: str | None, replay: str | None) -> list[Replay]:
        """The account's replays, newest first, at most 100."""
        return [_replay(row) for row in await self._pool.fetch(_LIST, account, endpoint, replay)]

    async def next(self, limit: int) -> Step | None:
        """The next step of the replay that has waited longest; None when none is running."""
        row = await self._pool.fetchrow(_NEXT)
        if row is None:
            return None
        found = await self._pool.fetch(
            _STEP, row["account_id"], row["endpoint_id"], row["events"], row["since"], row["until"], row["types"],
            row["states"], row["reached"], limit, row["created_at"],
        )  # fmt: skip
        return Step(
            replay=row["id"],
            endpoint=row["endpoint_id"],
            account=row["account_id"],
            reached=max((each["id"] for each in found), default=row["reached"]),
            again=[each["event_id"] for each in found if not each["missing"]],
            missing=[each["event_id"] for each in found if each["missing"]],
        )

    async def advance(self, step: Step, made: Sequence[NewDelivery]) -> bool:
        """Queues the step's deliveries and moves on; False for a step that another replica has made, or a canceled one.

        `made`: the missing ones whose bodies could be made. The replay is done with a step that has no events.
        """
        advanced = await self._pool.fetchval(
            _ADVANCE,
            step.replay,
            step.endpoint,
            step.reached,
            step.again,
            [each.event for each in made],
            [each.type for each in made],
            [each.body for each in made],
            step.account,
            len(step.missing),
            step.over,
        )
        return bool(advanced)

    async def cancel(self, account: int, replay: str) -> Replay | None:
        """Stops it; None when the account has no such replay. Raises Conflict when nothing of it is left to stop."""
        async with self._pool.acquire() as connection, connection.transaction():
            # What follows the lock sees the deliveries of the step for which it has waited.
            await connection.execute(_LOCK, account, replay)
            was_over = await connection.fetchval(_CANCEL, account, replay)
        if was_over is None:
            return None
        if was_over:
            raise Conflict("This replay is over.", code="replay_over")
        (shown,) = await self.shown(account, None, replay)
        return shown


def _values(selection: Selection) -> tuple[object, ...]:
    since, until = (
        None if moment is None else dt.datetime.fromtimestamp(moment, dt.UTC)
        for moment in (selection.since, selection.until)
    )
    return (
        selection.account, selection.endpoint, list(selection.events), since, until, list(selection.types),
        list(selection.states),
    )  # fmt: skip


def _replay(row: Row) -> Replay:
    return Replay(
        id=row["id"],
        endpoint=row["endpoint_id"],
        state=row["state"],
        matched=row["matched"],
        queued=row["queued"],
        skipped=row["skipped"],
        delivered=row["delivered"],
        exhausted=row["exhausted"],
        canceled=row["canceled"],
        created_at=row["created_at"].timestamp(),
        ended_at=row["ended_at"].timestamp() if row["ended_at"] else None,
    )


_MATCHING = """
    from events e left join deliveries d on d.event_id = e.event_id and d.endpoint_id = $2
    where e.account_id = $1
      and ($3::uuid[] = '{}' or e.event_id = any($3))
      and e.stored_at >= coalesce($4::timestamptz, '-infinity') and e.stored_at <= least($5::timestamptz, now())
      and ($6::text[] = '{}' or e.type = any($6))
      and coalesce(d.state, 'missing') = any($7::text[])
"""

_COUNT = f"""
select (select count(*) {_MATCHING}) from endpoints where id = $2 and account_id = $1 and deleted_at is null
"""

_CREATE = f"""
insert into replays (id, account_id, endpoint_id, events, since, until, types, states, matched)
select $8, account_id, id, $3::uuid[], coalesce($4::timestamptz, '-infinity'), least($5::timestamptz, now()),
    $6::text[], $7::text[], (select count(*) {_MATCHING})
from endpoints
where id = $2 and account_id = $1 and deleted_at is null
returning *
"""

_LIST = """
select * from replays
where account_id = $1 and ($2::text is null or endpoint_id = $2) and ($3::text is null or id = $3)
order by created_at desc, id
limit 100
"""

_NEXT = "select * from replays where state = 'running' order by reached, created_at limit 1"

_STEP = f"""
select e.id, e.event_id, d.id is null as missing
{_MATCHING}
  and e.id > $8 and (d.id is null or d.ended_at <= $10)
order by e.id
limit $9
"""

_ADVANCE = """
with locked as materialized (
    select endpoint_id from endpoint_state where endpoint_id = $2 for no key update
), ours as materialized (
    select r.id from replays r, locked
    where r.id = $1 and r.state = 'running' and (r.reached < $3 or $10)
    for no key update of r
), again as (
    update deliveries d
    set state = 'pending', rest_state = d.state, lane = 'replay', replay_id = $1, attempts = 0, first_attempt_at = null,
        next_attempt_at = now(), queued_at = now()
    from ours
    where d.event_id = any($4::uuid[]) and d.endpoint_id = $2 and d.state <> 'pending'
    returning d.id
), made as (
    insert into deliveries (event_id, endpoint_id, account_id, type, body, lane, replay_id, rest_state)
    select n.event, $2, $8, n.type, n.body, 'replay', $1, 'canceled'
    from unnest($5::uuid[], $6::text[], $7::bytea[]) as n (event, type, body), ours
    on conflict (event_id, endpoint_id) do nothing
    returning id
), counts as (
    select (select count(*) from again) as again, (select count(*) from made) as made from ours
), counted as (
    update endpoint_state s set pending = s.pending + c.again + c.made from counts c where s.endpoint_id = $2
)
update replays r
set queued = r.queued + c.again + c.made, skipped = r.skipped + $9 - c.made, reached = $3,
    state = case when $10 then 'done' else 'running' end, ended_at = case when $10 then now() end
from counts c
where r.id = $1
returning true
"""

_LOCK = """
select from endpoint_state
where endpoint_id = (select endpoint_id from replays where id = $2 and account_id = $1)
for no key update
"""

_CANCEL = """
with found as materialized (
    select id, endpoint_id, state from replays where id = $2 and account_id = $1
), back as (
    -- What is under way at this moment may still arrive; its result comes too late.
    update deliveries d set state = d.rest_state, claim = null, ended_at = coalesce(d.ended_at, now())
    from found f
    where d.replay_id = f.id and d.state = 'pending'
    returning d.id
), counts as (
    select count(*) as count from back
), counted as (
    update endpoint_state s set pending = s.pending - c.count from counts c, found f where s.endpoint_id = f.endpoint_id
), ended as (
    update replays r
    set state = 'canceled', canceled = r.canceled + c.count, ended_at = now()
    from found f, counts c
    where r.id = f.id and (f.state = 'running' or c.count > 0)
    returning r.id
)
select not exists (select from ended) as was_over from found
"""
