"""Endpoints and deliveries in Postgres. Every time is the database's own: workers' clocks are never compared."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.webhooks.formats import ReceivedSms
from shared.contracts.events import Event
from shared.contracts.rpc.webhooks import Endpoint
from shared.db.pool import Pool

LEASE_S = 20.0
"""A claimed delivery that nobody completes is due again after this many seconds: the longest attempt and a margin."""


@dataclass(frozen=True)
class NewDelivery:
    """An event's body in one format, for every endpoint of the account that takes this format."""

    event: str
    """A UUID."""
    account: int
    type: str
    format: str
    body: bytes


@dataclass(frozen=True)
class Claimed:
    """A delivery that is this worker's until its lease ends.

    `attempts` counts this attempt and those before it that used one up; `tries` counts all of them before it.
    `failing_s`: seconds since the first try.
    """

    id: int
    endpoint: str
    url: str
    body: bytes
    attempts: int
    tries: int
    failing_s: float


@dataclass(frozen=True)
class Completion:
    """What came of a claimed delivery. `retry_s` None: it is at rest in `state`."""

    delivery: Claimed
    claim: UUID
    state: str
    retry_s: float | None
    counted: bool
    duration_ms: int
    status: int | None
    error: str | None


@dataclass(frozen=True)
class Cursor:
    """A reader's place among an account's events: the transaction that stored the last one read, and its id."""

    xid: int = 0
    id: int = 0


class Store:
    """The verbs of webhooks, one statement each."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def keep(self, events: Sequence[Event]) -> None:
        """Keeps events for readers who page through them, each once."""
        await self._pool.execute(
            """
            insert into events
                (event_id, account_id, type, occurred_at, message_id, inbox_id, device_id, sim, number)
            select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::bytea[], $6::bigint[],
                                 $7::text[], $8::smallint[], $9::int[])
            on conflict (event_id) do nothing
            """,
            [each.id for each in events],
            [each.account for each in events],
            [each.type for each in events],
            [dt.datetime.fromtimestamp(each.occurred_at, dt.UTC) for each in events],
            [each.message for each in events],
            [each.inbox for each in events],
            [each.device for each in events],
            [each.sim for each in events],
            [each.number for each in events],
        )

    async def events_after(self, account: int, after: Cursor, limit: int) -> list[tuple[Cursor, Event]]:
        """The account's next events, each with the cursor behind it; none twice and none missed, whoever commits late.

        One message's changes may come out of order across pages; `number` orders them.
        """
        rows = await self._pool.fetch(
            """
            select xid::text::bigint as xid, id, event_id, account_id, type, message_id, inbox_id, device_id, sim,
                   number,
                   extract(epoch from occurred_at)::float8 as occurred_at
            from events
            where account_id = $1 and (xid, id) > ($2::text::xid8, $3)
              and xid < pg_snapshot_xmin(pg_current_snapshot())
            order by xid, id
            limit $4
            """,
            account,
            str(after.xid),
            after.id,
            limit,
        )
        return [
            (
                Cursor(row["xid"], row["id"]),
                Event(
                    id=str(row["event_id"]),
                    account=row["account_id"],
                    type=row["type"],
                    occurred_at=row["occurred_at"],
                    message=row["message_id"],
                    inbox=row["inbox_id"],
                    device=row["device_id"],
                    sim=row["sim"],
                    number=row["number"],
                ),
            )
            for row in rows
        ]

    async def forget_events(self, days: int, limit: int = 5000) -> int:
        """Removes events older than so many days, a bounded number at once; returns how many."""
        rows = await self._pool.fetch(
            """
            delete from events where id in (
                select id from events where stored_at < now() - make_interval(days => $1)
                order by stored_at limit $2 for update skip locked
            )
            returning id
            """,
            days,
            limit,
        )
        return len(rows)

    async def received_sms(self, inbox: Sequence[int]) -> dict[int, ReceivedSms]:
        """The inbox's texts by id, without those that were deleted or whose account has no endpoint."""
        rows = await self._pool.fetch(
            """
            select i.id, i.guid, i.number, i.text, i.received_at, i.utc_offset_min, i.stored_at
            from inbox i
            where i.id = any($1) and i.deleted_at is null
              and exists (select from endpoints e where e.account_id = i.account_id and e.deleted_at is null)
            """,
            list(inbox),
        )
        return {
            row["id"]: ReceivedSms(
                guid=row["guid"],
                number=row["number"],
                text=row["text"],
                received_at=row["received_at"],
                utc_offset_min=row["utc_offset_min"],
                stored_at=row["stored_at"],
            )
            for row in rows
        }

    async def fan_out(self, deliveries: Sequence[NewDelivery]) -> int:
        """Makes a delivery of each for every enabled endpoint that takes it, once; returns how many are new.

        Endpoints are locked against their deletion meanwhile, so that none is left with deliveries.
        """
        rows = await self._pool.fetch(
            """
            insert into deliveries (event_id, endpoint_id, account_id, type, body)
            select n.event, e.id, n.account, n.type, n.body
            from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bytea[])
                     as n (event, account, type, format, body)
                 join endpoints e on e.account_id = n.account and e.format = n.format
            where e.enabled and e.deleted_at is null
            for share of e
            on conflict (event_id, endpoint_id) do nothing
            returning id
            """,
            [each.event for each in deliveries],
            [each.account for each in deliveries],
            [each.type for each in deliveries],
            [each.format for each in deliveries],
            [each.body for each in deliveries],
        )
        return len(rows)

    async def claim(self, claim: UUID, count: int, per_endpoint: int, busy: dict[str, int]) -> list[Claimed]:
        """At most `count` due deliveries under the lease, shared out fairly: those with little under way first.

        `busy`: deliveries that this worker has under way, by endpoint; no endpoint gets beyond `per_endpoint`.
        """
        rows = await self._pool.fetch(
            """
            with ready as materialized (
                select e.id, e.url, $3 - coalesce(b.count, 0) as room
                from endpoints e
                     left join unnest($4::text[], $5::int[]) as b (id, count) on b.id = e.id
                where e.enabled and e.deleted_at is null and coalesce(b.count, 0) < $3
                  and exists (
                      select from deliveries d
                      where d.endpoint_id = e.id and d.state = 'pending' and d.next_attempt_at <= now()
                  )
                order by coalesce(b.count, 0), random()
                limit $2
            ), picked as (
                select d.id, r.url
                from ready r
                     cross join lateral (
                         select id from deliveries
                         where endpoint_id = r.id and state = 'pending' and next_attempt_at <= now()
                         order by next_attempt_at
                         limit least(r.room, greatest(1, $2 / (select count(*) from ready)))
                         for update skip locked
                     ) d
            )
            update deliveries d
            set claim = $1, attempts = d.attempts + 1, next_attempt_at = now() + $6::float8 * interval '1 second'
            from picked p
            where d.id = p.id
            returning d.id, d.endpoint_id as endpoint, p.url, d.body, d.attempts,
                (select coalesce(max(a.number), 0) from delivery_attempts a where a.delivery_id = d.id) as tries,
                extract(epoch from now() - coalesce(
                    (select min(a.started_at) from delivery_attempts a where a.delivery_id = d.id), now()
                ))::float8 as failing_s
            """,
            claim,
            count,
            per_endpoint,
            list(busy),
            list(busy.values()),
            LEASE_S,
        )
        return [Claimed(**row) for row in rows]

    async def complete(self, completions: Sequence[Completion]) -> int:
        """Writes down what came of deliveries and logs the attempts; returns how many were still this worker's.

        One whose lease has ended, so that another worker claimed it, and one that was canceled are left alone.
        """
        rows = await self._pool.fetch(
            """
            with result as (
                select *
                from unnest(
                    $1::bigint[], $2::uuid[], $3::text[], $4::float8[], $5::bool[], $6::int[], $7::int[], $8::int[],
                    $9::text[]
                ) as r (id, claim, state, retry_s, counted, number, duration_ms, status, error)
            ), done as (
                update deliveries d
                set state = r.state, claim = null, last_error = r.error,
                    attempts = d.attempts - (not r.counted)::int,
                    next_attempt_at = coalesce(now() + r.retry_s * interval '1 second', d.next_attempt_at),
                    ended_at = case when r.retry_s is null then now() end
                from result r
                where d.id = r.id and d.claim = r.claim and d.state = 'pending'
                returning d.id
            )
            insert into delivery_attempts (delivery_id, number, started_at, duration_ms, status, error)
            select id, r.number, now() - r.duration_ms * interval '1 millisecond', r.duration_ms, r.status, r.error
            from result r join done using (id)
            returning delivery_id
            """,
            [each.delivery.id for each in completions],
            [each.claim for each in completions],
            [each.state for each in completions],
            [each.retry_s for each in completions],
            [each.counted for each in completions],
            [each.delivery.tries + 1 for each in completions],
            [each.duration_ms for each in completions],
            [each.status for each in completions],
            [each.error for each in completions],
        )
        return len(rows)

    async def create_endpoint(
        self, endpoint: str, account: int, url: str, format: str, description: str
    ) -> Endpoint | None:
        """The new endpoint; None when there is no such account."""
        row = await self._pool.fetchrow(
            """
            insert into endpoints (id, account_id, url, format, description)
            select $1, id, $3, $4, $5 from accounts where id = $2
            returning id, account_id as account, url, format, description, enabled,
                extract(epoch from created_at)::float8 as created_at
            """,
            endpoint,
            account,
            url,
            format,
            description,
        )
        return Endpoint(**row) if row else None

    async def endpoints(self, account: int, endpoint: str | None) -> list[Endpoint]:
        """The account's endpoints in order of creation, or the one asked for, with what became of their events."""
        rows = await self._pool.fetch(
            """
            select e.id, e.account_id as account, e.url, e.format, e.description, e.enabled,
                extract(epoch from e.created_at)::float8 as created_at,
                count(d.id) filter (where d.state = 'pending') as pending,
                count(d.id) filter (where d.state = 'delivered') as delivered,
                (array_agg(d.last_error order by d.id desc) filter (where d.last_error is not null))[1] as last_error
            from endpoints e left join deliveries d on d.endpoint_id = e.id
            where e.account_id = $1 and e.deleted_at is null and ($2::text is null or e.id = $2)
            group by e.id
            order by e.created_at, e.id
            """,
            account,
            endpoint,
        )
        return [Endpoint(**row) for row in rows]

    async def delete_endpoint(self, account: int, endpoint: str) -> bool:
        """Ends the endpoint and its undelivered events; False when the account has no such endpoint.

        Two statements: the second must see what a fan-out, for which the first has waited, has added.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            ended = await connection.fetchval(
                """
                update endpoints set deleted_at = now()
                where id = $2 and account_id = $1 and deleted_at is null
                returning true
                """,
                account,
                endpoint,
            )
            if ended:
                await connection.execute(
                    """
                    update deliveries set state = 'canceled', ended_at = now()
                    where endpoint_id = $1 and state = 'pending'
                    """,
                    endpoint,
                )
        return bool(ended)
