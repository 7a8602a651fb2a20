"""All that the gateway reads from Postgres; it writes nothing. Every query is scoped by account."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.gateway.reading import READ_DEADLINE_S, reading
from shared.db.pool import Pool
from shared.model.ids import MessageId

CHECK_DEADLINE_S = 0.5
"""What a read may take, READ_DEADLINE_S otherwise: for checks that are skipped rather than waited for."""

ONLINE_S = 30
"""A phone is online while its session was renewed within this many seconds."""


class SentRow(NamedTuple):
    """A message with its live state: `live_state` is set while the message is not at rest."""

    id: bytes
    recipient: str
    text: str
    origin: str | None
    client_ref: str | None
    channel: str
    encoding: str
    parts: int
    priority: int
    wanted_device_id: str | None
    wanted_sim: int | None
    accepted_at: datetime
    scheduled_at: datetime
    valid_until: datetime
    state: str
    reason: str | None
    device_id: str | None
    sim: int | None
    live_state: str | None
    deleted: bool
    estimated_at: datetime | None


class Wanted(NamedTuple):
    """Which sent messages: those with all of this.

    `before`: with a smaller id (ids sort by time). `text` or `number`: the text contains the one, whatever the case,
    or the recipient the other. `api_errors`: ended or refused by us; `mobile_errors`: failed on a phone, or of unknown
    outcome when their validity ended.
    """

    before: bytes | None = None
    text: str | None = None
    number: str | None = None
    api_errors: bool = False
    mobile_errors: bool = False


class InboxRow(NamedTuple):
    """A received text."""

    id: int
    guid: UUID
    device_id: str
    number: str
    text: str
    received_at: datetime
    utc_offset_min: int
    stored_at: datetime


class DeviceRow(NamedTuple):
    """A phone as its account sees it; `numbers` are those of its SIMs that are known, by slot."""

    id: str
    name: str
    software: str
    online: bool
    last_seen_at: datetime
    numbers: list[str]


class Store:
    """The gateway's reads. Each raises Unavailable while Postgres is away or too slow."""

    def __init__(self, pool: Pool) -> None:
        """`pool` may have no connection yet, or none any more."""
        self._pool = pool

    async def sent(
        self, account: int, wanted: Wanted, now: datetime, *, limit: int = 100, offset: int = 0
    ) -> list[SentRow]:
        """The account's sent messages that were not deleted, newest first; `now` decides whose validity has ended."""
        narrowed = (_API_ERRORS if wanted.api_errors else "") + (_MOBILE_ERRORS if wanted.mobile_errors else "")
        async with reading(self._pool, READ_DEADLINE_S) as connection:
            rows = await connection.fetch(
                f"""
                {_SENT}
                where m.account_id = $1 and m.deleted_at is null and ($2::bytea is null or m.id < $2)
                    and ($3::text is null or strpos(lower(m.text), lower($3)) > 0 or strpos(m.recipient, $4) > 0)
                    and $5::timestamptz is not null {narrowed}
                order by m.id desc limit $6 offset $7
                """,
                account,
                wanted.before,
                wanted.text,
                wanted.number,
                now,
                limit,
                offset,
            )
        return [SentRow(*row) for row in rows]

    async def message(self, account: int, message: MessageId) -> SentRow | None:
        """One sent message of the account, deleted or not."""
        async with reading(self._pool, READ_DEADLINE_S) as connection:
            row = await connection.fetchrow(f"{_SENT} where m.account_id = $1 and m.id = $2", account, message)
        return SentRow(*row) if row else None

    async def inbox(
        self,
        account: int,
        *,
        unread_only: bool = False,
        device: str | None = None,
        after: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[InboxRow]:
        """The account's received texts, newest first."""
        async with reading(self._pool, READ_DEADLINE_S) as connection:
            rows = await connection.fetch(
                """
                select id, guid, device_id, number, text, received_at, utc_offset_min, stored_at
                from inbox
                where account_id = $1 and deleted_at is null and (not $2 or read_at is null)
                    and ($3::text is null or device_id = $3) and ($4::timestamptz is null or received_at > $4)
                order by id desc limit $5 offset $6
                """,
                account,
                unread_only,
                device,
                after,
                limit,
                offset,
            )
        return [InboxRow(*row) for row in rows]

    async def devices(self, account: int) -> list[DeviceRow]:
        """The account's phones in order of enrolment."""
        async with reading(self._pool, READ_DEADLINE_S) as connection:
            rows = await connection.fetch(
                """
                select d.id, coalesce(d.given_name, d.name) as name, d.software,
                    d.closed_at is null and d.renewed_at > now() - make_interval(secs => $2::int) as online,
                    d.last_seen_at,
                    array(
                        select number from sims s where s.device_id = d.id and s.number is not null order by slot
                    ) as numbers
                from devices d
                where d.account_id = $1 and d.deleted_at is null
                order by d.created_at, d.id
                """,
                account,
                ONLINE_S,
            )
        return [DeviceRow(*row) for row in rows]

    async def has_device(self, account: int, device: str | None, channel: str | None) -> bool:
        """Whether the account has this device (None: any at all), and one that serves this channel if it is named."""
        async with reading(self._pool, CHECK_DEADLINE_S) as connection:
            found: bool = await connection.fetchval(
                """
                select exists (
                    select from devices
                    where account_id = $1 and deleted_at is null and ($2::text is null or id = $2)
                        and ($3::text is null or $3 = any(channels))
                )
                """,
                account,
                device,
                channel,
            )
        return found

    async def has_signed(self, account: int, device: str) -> bool:
        """Whether this phone has ever signed what it posts to our receiver."""
        async with reading(self._pool, CHECK_DEADLINE_S) as connection:
            found: bool = await connection.fetchval(
                """
                select exists (
                    select from apps p join devices d on d.id = p.device_id
                    where d.account_id = $1 and d.id = $2 and p.signed_at is not null
                )
                """,
                account,
                device,
            )
        return found

    async def pause(self, account: int, device: str) -> tuple[int, int]:
        """The least and the most milliseconds between two sends of this phone: those of the slowest of its SIMs."""
        async with reading(self._pool, READ_DEADLINE_S) as connection:
            rows = await connection.fetch(
                """
                select delay_min_ms, delay_max_ms from budgets b join devices d on d.id = b.device_id
                where d.account_id = $1 and d.id = $2
                """,
                account,
                device,
            )
        return max((row[0] for row in rows), default=0), max((row[1] for row in rows), default=0)

    async def clock(self) -> float:
        """The database's time, Unix seconds."""
        async with reading(self._pool, CHECK_DEADLINE_S) as connection:
            now: float = await connection.fetchval("select extract(epoch from clock_timestamp())::float8")
        return now


SENT_COLUMNS = """m.id, m.recipient, m.text, m.origin, m.client_ref, m.channel, m.encoding, m.parts, m.priority,
    m.wanted_device_id, m.wanted_sim, m.accepted_at, m.scheduled_at, m.valid_until, m.state, m.reason,
    coalesce(m.device_id, w.holder) as device_id, coalesce(m.sim, w.sim) as sim, w.state as live_state,
    m.deleted_at is not null as deleted,
    case
        when w.state = 'later' then nullif(w.due, w.valid_until)
        when w.state = 'ready' then (
            select now() + make_interval(secs => greatest(w.parts, (
                select sum(least(l.last_tag, w.tag) - o.head_tag)
                from lanes l where l.queue = w.queue and l.last_tag > o.head_tag
            )) / o.parts_per_s)
            from outlooks o where o.queue = w.queue and o.parts_per_s > 0
        )
    end as estimated_at"""
"""A SentRow from `messages m` with its live row `w`."""

_SENT = f"select {SENT_COLUMNS} from messages m left join work w on w.message_id = m.id"

# The first line of each is the predicate of the partial index that answers it.
_API_ERRORS = """
and (m.state in ('expired', 'canceled') or m.reason = 'rejected')
and w.message_id is null
"""
_MOBILE_ERRORS = """
and m.state in ('failed', 'unknown')
and (m.state = 'failed' and w.message_id is null or m.state = 'unknown' and m.valid_until <= $5)
"""
