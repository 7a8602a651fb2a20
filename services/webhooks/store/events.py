"""Events: kept for readers, their facts read for bodies, made into deliveries, and forgotten by age."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.webhooks.formats import (
    AttemptFacts,
    DeviceFacts,
    EndpointFacts,
    EventFacts,
    Facts,
    InboxFacts,
    MessageFacts,
    type_on_channel,
)
from shared.contracts.events import Event
from shared.contracts.rpc.webhooks import ClassicSettings, Filter
from shared.db.pool import Pool, Row


@dataclass(frozen=True)
class Cursor:
    """A reader's place among an account's events: the transaction that stored the last one read, and its id."""

    xid: int = 0
    id: int = 0


@dataclass(frozen=True)
class Told:
    """An event with what is known of it, as receivers hear of it. `device`, `sim` and `number` are for filters."""

    facts: EventFacts
    account: int
    device: str | None = None
    sim: int | None = None
    number: str | None = None

    @property
    def id(self) -> UUID:
        """The event's id."""
        return self.facts.id


@dataclass(frozen=True)
class Subscriber:
    """An endpoint that may want events."""

    id: str
    account: int
    format: str
    filter: Filter = field(default_factory=Filter)
    classic: ClassicSettings = field(default_factory=ClassicSettings)


@dataclass(frozen=True)
class NewDelivery:
    """An event's body for an endpoint."""

    event: UUID
    endpoint: str
    account: int
    type: str
    body: bytes


class Events:
    """Keeps events and makes their deliveries."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def keep(self, events: Sequence[Event]) -> None:
        """Keeps events for readers who page through them, each once."""
        await self._pool.execute(
            _KEEP,
            [each.id for each in events],
            [each.account for each in events],
            [each.type for each in events],
            [dt.datetime.fromtimestamp(each.occurred_at, dt.UTC) for each in events],
            [each.message for each in events],
            [each.inbox for each in events],
            [each.device for each in events],
            [each.sim for each in events],
            [each.number for each in events],
            [each.endpoint for each in events],
            [each.reason for each in events],
        )

    async def told(self, events: Sequence[UUID]) -> list[Told]:
        """The kept ones among these with their facts, in the order that they were kept in.

        One whose received text was deleted, or that is about nothing that is left, is not among them.
        """
        return [told for row in await self._pool.fetch(_TOLD, list(events)) if (told := _told(row))]

    async def page(
        self, account: int, after: Cursor, limit: int, types: Sequence[str] = ()
    ) -> list[tuple[Cursor, UUID]]:
        """The account's next events, each with the cursor behind it; none twice and none missed, whoever commits late.

        `types` as they are kept (sms.*, whatever the channel); empty: all. One message's changes may come out of order
        across pages; the contract's `number` orders them.
        """
        rows = await self._pool.fetch(_PAGE, account, str(after.xid), after.id, limit, list(types))
        return [(Cursor(row["xid"], row["id"]), row["event_id"]) for row in rows]

    async def forget(self, days: int, limit: int = 5000) -> int:
        """Removes events older than so many days, a bounded number at once; returns how many."""
        return len(await self._pool.fetch(_FORGET, days, limit))

    async def subscribers(self, accounts: Sequence[int]) -> list[Subscriber]:
        """The endpoints of these accounts, in whatever state: a paused one's events wait for it."""
        return [
            Subscriber(
                id=row["id"],
                account=row["account_id"],
                format=row["format"],
                filter=Filter(types=row["types"], devices=row["devices"], sims=row["sims"], numbers=row["numbers"]),
                classic=ClassicSettings(
                    number_format=row["number_format"], time_format=row["time_format"], time_zone=row["time_zone"]
                ),
            )
            for row in await self._pool.fetch(_SUBSCRIBERS, list(accounts))
        ]

    async def fan_out(self, deliveries: Sequence[NewDelivery]) -> int:
        """Makes these deliveries, each once; returns how many are new. An endpoint that has ended gets none."""
        made: int = await self._pool.fetchval(
            _FAN_OUT,
            [each.event for each in deliveries],
            [each.endpoint for each in deliveries],
            [each.account for each in deliveries],
            [each.type for each in deliveries],
            [each.body for each in deliveries],
        )
        return made

    async def own(self, limit: int) -> dict[int, Event]:
        """The oldest events about endpoints that webhooks itself has to tell, by their place in line."""
        rows = await self._pool.fetch(_OWN, limit)
        return {
            row["id"]: Event(
                id=str(row["event_id"]),
                account=row["account_id"],
                type=row["type"],
                occurred_at=row["occurred_at"].timestamp(),
                endpoint=row["endpoint_id"],
                reason=row["reason"],
            )
            for row in rows
        }

    async def own_done(self, places: Sequence[int]) -> None:
        """These have been fanned out."""
        await self._pool.execute("delete from endpoint_events where id = any($1)", list(places))


def _told(row: Row) -> Told | None:
    about = _about(row)
    if about is None:
        return None
    type = type_on_channel(row["type"], row["channel"] or "sms")
    facts = EventFacts(
        id=row["event_id"], type=type, occurred_at=row["occurred_at"], created_at=row["stored_at"], about=about
    )
    device = row["device_id"] or row["message_device_id"]
    number = row["number"] if row["number"] is not None else row["recipient"]
    return Told(facts, row["account_id"], device, row["sim"] or row["message_sim"], number)


def _about(row: Row) -> Facts | None:
    if row["inbox_id"] is not None:
        if row["guid"] is None:
            return None
        return InboxFacts(
            guid=row["guid"],
            number=row["number"],
            text=row["inbox_text"],
            received_at=row["received_at"],
            utc_offset_min=row["utc_offset_min"],
            stored_at=row["inbox_stored_at"],
            device_id=row["device_id"],
            device_name=row["device_name"] or "",
            sim=row["sim"],
        )
    if row["message_id"] is not None:
        if row["recipient"] is None:
            return None
        tried = row["attempt_device_id"] is not None
        return MessageFacts(
            guid=row["message_id"].hex(),
            number=row["recipient"],
            text=row["text"],
            client_ref=row["client_ref"],
            device_id=row["message_device_id"],
            sim=row["message_sim"],
            reason=row["message_reason"],
            attempt=AttemptFacts(
                number=row["attempt"],
                device_id=row["attempt_device_id"],
                sim=row["attempt_sim"],
                reason=row["attempt_reason"],
            )
            if tried and row["type"] != "sms.api.submitted"
            else None,
        )
    if row["endpoint_id"] is not None:
        return EndpointFacts(
            id=row["endpoint_id"],
            url=row["url"] or "",
            reason=row["reason"],
            failing_since=row["failing_since"],
            pending=row["pending"] or 0,
        )
    if row["device_id"] is not None and row["device_name"] is not None:
        return DeviceFacts(id=row["device_id"], name=row["device_name"], last_seen_at=row["last_seen_at"])
    return None


_KEEP = """
insert into events (
    event_id, account_id, type, occurred_at, message_id, inbox_id, device_id, sim, number, endpoint_id, reason
)
select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::bytea[], $6::bigint[], $7::text[],
                     $8::smallint[], $9::int[], $10::text[], $11::text[])
on conflict (event_id) do nothing
"""

# An event's number is attempt * 16 + rank of the state. Where the change is nobody's attempt, such as a refusal, the
# attempt's row is not there or is not the one that failed.
_TOLD = """
select e.id, e.event_id, e.account_id, e.type, e.occurred_at, e.stored_at, e.message_id, e.inbox_id, e.endpoint_id,
    e.reason, coalesce(e.device_id, i.device_id) as device_id, coalesce(e.sim, i.sim) as sim,
    m.recipient, m.text, m.client_ref, m.channel, m.reason as message_reason,
    coalesce(m.device_id, m.wanted_device_id) as message_device_id, coalesce(m.sim, m.wanted_sim) as message_sim,
    (e.number / 16)::int as attempt, a.device_id as attempt_device_id, a.sim as attempt_sim, a.reason as attempt_reason,
    i.guid, i.number, i.text as inbox_text, i.received_at, i.utc_offset_min, i.stored_at as inbox_stored_at,
    d.name as device_name, d.last_seen_at, p.url, s.failing_since, s.pending
from events e
     left join messages m on m.id = e.message_id and m.account_id = e.account_id
     left join attempts a on a.message_id = e.message_id and a.number = e.number / 16
     left join inbox i on i.id = e.inbox_id and i.account_id = e.account_id and i.deleted_at is null
     left join devices d on d.id = coalesce(e.device_id, i.device_id) and d.account_id = e.account_id
     left join endpoints p on p.id = e.endpoint_id and p.account_id = e.account_id
     left join endpoint_state s on s.endpoint_id = p.id
where e.event_id = any($1)
order by e.id
"""

_PAGE = """
select xid::text::bigint as xid, id, event_id
from events
where account_id = $1 and (xid, id) > ($2::text::xid8, $3)
  and xid < pg_snapshot_xmin(pg_current_snapshot())
  and ($5::text[] = '{}' or type = any($5))
order by xid, id
limit $4
"""

_FORGET = """
delete from events where id in (
    select id from events where stored_at < now() - make_interval(days => $1)
    order by stored_at limit $2 for update skip locked
)
returning id
"""

_SUBSCRIBERS = """
with adopted as (
    -- Those that code without state rows has made.
    insert into endpoint_state (endpoint_id, account_id)
    select e.id, e.account_id from endpoints e
    where e.account_id = any($1) and e.deleted_at is null
      and not exists (select from endpoint_state s where s.endpoint_id = e.id)
    on conflict do nothing
)
select id, account_id, format, types, devices, sims, numbers, number_format, time_format, time_zone
from endpoints
where account_id = any($1) and deleted_at is null
"""

_FAN_OUT = """
with wanted as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bytea[])
        as n (event, endpoint, account, type, body)
), locked as materialized (
    -- Whoever ends an endpoint holds its state row, and deletes it.
    select endpoint_id from endpoint_state
    where endpoint_id = any(array(select endpoint from wanted))
    order by endpoint_id
    for no key update
), made as (
    insert into deliveries (event_id, endpoint_id, account_id, type, body)
    select w.event, w.endpoint, w.account, w.type, w.body from wanted w join locked l on l.endpoint_id = w.endpoint
    on conflict (event_id, endpoint_id) do nothing
    returning endpoint_id
), counted as (
    update endpoint_state s
    set pending = s.pending + m.count
    from (select endpoint_id, count(*) as count from made group by endpoint_id) m
    where s.endpoint_id = m.endpoint_id
)
select count(*)::int from made
"""

_OWN = "select * from endpoint_events order by id limit $1"
"""Every replica may tell the same ones: each event is kept and delivered once."""
