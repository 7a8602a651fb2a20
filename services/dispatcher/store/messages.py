"""Messages at acceptance and at rest: the log's rows, and the live row that each begins with."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.dispatcher.routing import QueueKey
from services.dispatcher.states import REJECTED_CHANGE, change_number
from shared.contracts.commands import SubmitSms
from shared.db.pool import Connection, Pool
from shared.model.storable import is_storable

ROWS_PER_STATEMENT = 1000
"""More recipients than these are stored by several statements."""


class Accepted(NamedTuple):
    """One recipient's message, about to be stored."""

    id: bytes
    number: str
    command: SubmitSms
    queue: int


class ReadyCount(NamedTuple):
    """How many messages of a queue became ready."""

    queue: int
    messages: int


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


class Messages:
    """Writes the log."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool
        self._queues: dict[QueueKey, int] = {}
        self._keys: dict[int, QueueKey] = {}

    async def submit(self, commands: Sequence[SubmitSms]) -> list[ReadyCount]:
        """Stores each recipient's message once, whatever is submitted again; returns what became ready.

        Raises what Postgres raises; a repetition of the whole call is harmless.
        """
        await self.intern(_wanted_queue(command) for command in commands)
        rows = [
            Accepted(recipient.id, recipient.number, command, self._queues[_wanted_queue(command)])
            for command in commands
            for recipient in command.recipients
        ]
        ready: list[ReadyCount] = []
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            ready += await self._submit_rows(rows[start : start + ROWS_PER_STATEMENT])
        return ready

    async def intern(self, keys: Iterable[QueueKey]) -> list[int]:
        """The ids of these queues, made where they were missing."""
        wanted = list(dict.fromkeys(keys))
        if missing := [key for key in wanted if key not in self._queues]:
            await self._pool.execute(_MAKE_QUEUES, *zip(*missing, strict=True))
            for row in await self._pool.fetch(_FIND_QUEUES, *zip(*missing, strict=True)):
                key = QueueKey(row["account_id"], row["device_id"], row["sim"], row["channel"])
                self._queues[key] = row["id"]
                self._keys[row["id"]] = key
        return [self._queues[key] for key in wanted]

    async def keys_of(self, queues: Iterable[int]) -> dict[int, QueueKey]:
        """What these queue ids stand for."""
        wanted = set(queues)
        if missing := [queue for queue in wanted if queue not in self._keys]:
            for row in await self._pool.fetch("select * from queues where id = any($1)", missing):
                self._keys[row["id"]] = QueueKey(row["account_id"], row["device_id"], row["sim"], row["channel"])
        return {queue: self._keys[queue] for queue in wanted if queue in self._keys}

    async def reject(self, command: SubmitSms, reason: str) -> None:
        """Stores what may be stored of a refused command: its messages as failed, reason `rejected`."""
        rows = [
            (
                recipient.id,
                command.account,
                _clean(command.submitter),
                _clean(recipient.number),
                _clean(command.text),
                change_number(0, REJECTED_CHANGE),
                reason[:500],
            )
            for recipient in command.recipients
        ]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.executemany(_REJECT, rows)

    async def _submit_rows(self, rows: list[Accepted]) -> list[ReadyCount]:
        commands = [row.command for row in rows]
        records = await self._pool.fetch(
            _SUBMIT,
            [row.id for row in rows],
            [row.number for row in rows],
            [row.queue for row in rows],
            [command.account for command in commands],
            [command.submitter for command in commands],
            [command.text for command in commands],
            [command.channel for command in commands],
            [command.encoding for command in commands],
            [command.parts for command in commands],
            [command.priority for command in commands],
            [command.origin for command in commands],
            [command.client_ref for command in commands],
            [command.media_url for command in commands],
            [command.device for command in commands],
            [command.sim for command in commands],
            [_utc(command.accepted_at) for command in commands],
            [_utc(command.scheduled_at) for command in commands],
            [_utc(command.valid_until) for command in commands],
        )
        return [ReadyCount(record["queue"], record["messages"]) for record in records]


def _wanted_queue(command: SubmitSms) -> QueueKey:
    return QueueKey(command.account, command.device, command.sim, command.channel)


def _clean(text: str) -> str:
    return text if is_storable(text) else text.encode(errors="replace").decode().replace("\0", "\ufffd")


async def lock_messages(connection: Connection, ids: Sequence[bytes]) -> None:
    """Locks these messages in order of id: the first lock of every change that is not a lease or a take."""
    await connection.execute("select from messages where id = any($1) order by id for update", ids)


_MAKE_QUEUES = """
insert into queues (account_id, device_id, sim, channel)
select * from unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[])
order by 1, 2, 3, 4
on conflict do nothing
"""

_FIND_QUEUES = """
select q.* from queues q
join unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[]) as k (account_id, device_id, sim, channel)
on q.account_id = k.account_id and q.channel = k.channel
and q.device_id is not distinct from k.device_id and q.sim is not distinct from k.sim
"""

# The tag (start-time fair queuing): a submitter's next message stands behind its own last one and not before the head
# of the queue. An empty queue begins where its last lane ended, so that nobody pays for having been served.
_SUBMIT = """
with incoming as (
    select * from unnest(
        $1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::int[], $10::smallint[], $11::text[], $12::text[], $13::text[], $14::text[], $15::smallint[],
        $16::timestamptz[], $17::timestamptz[], $18::timestamptz[]
    ) with ordinality as t (
        id, recipient, queue, account_id, submitter, text, channel, encoding, parts, priority, origin, client_ref,
        media_url, device_id, sim, accepted_at, scheduled_at, valid_until, place
    )
), inserted as (
    insert into messages (
        id, account_id, submitter, recipient, text, channel, encoding, parts, priority, origin, client_ref,
        media_url, wanted_device_id, wanted_sim, accepted_at, scheduled_at, valid_until, state
    )
    select id, account_id, submitter, recipient, text, channel, encoding, parts, priority, origin, client_ref,
        media_url, device_id, sim, accepted_at, scheduled_at, valid_until,
        case when scheduled_at > now() then 'scheduled' else 'queued' end
    from incoming order by id
    on conflict (id) do nothing
    returning id
), fresh as (
    select i.*, sum(i.parts) over (partition by i.queue, i.submitter order by i.place) as ahead
    from incoming i join inserted using (id)
), heads as (
    select q.queue, coalesce(
        (select w.tag from work w where w.queue = q.queue and w.state = 'ready' order by w.prio desc, w.tag limit 1),
        (select max(l.last_tag) from lanes l where l.queue = q.queue),
        0
    ) as head
    from (select distinct queue from fresh) q
), bases as (
    select f.queue, f.submitter, greatest(h.head, coalesce(l.last_tag, 0)) as base, max(f.ahead) as total
    from fresh f join heads h using (queue) left join lanes l using (queue, submitter)
    group by f.queue, f.submitter, h.head, l.last_tag
), lanes_now as (
    insert into lanes as l (queue, submitter, last_tag)
    select queue, submitter, base + total from bases order by queue, submitter
    on conflict (queue, submitter) do update set last_tag = greatest(l.last_tag, excluded.last_tag)
), working as (
    insert into work (message_id, account_id, queue, prio, tag, parts, due, valid_until, state)
    select f.id, f.account_id, f.queue, f.priority, b.base + f.ahead, f.parts, f.scheduled_at, f.valid_until,
        case when f.scheduled_at > now() then 'later' else 'ready' end
    from fresh f join bases b using (queue, submitter)
    returning queue, state
), announced as (
    insert into outbox (account_id, type, occurred_at, message_id)
    select account_id, 'sms.api.submitted', accepted_at, id from fresh order by place
)
select queue, count(*)::int as messages from working where state = 'ready' group by queue
"""

_REJECT = f"""
with rejected as (
    insert into messages (
        id, account_id, submitter, recipient, text, channel, encoding, parts, priority, accepted_at, scheduled_at,
        valid_until, state, reason, ended_at
    )
    values ($1, $2, $3, $4, $5, 'sms', 'ucs2', 1, 0, now(), now(), now(), 'failed', 'rejected', now())
    on conflict (id) do nothing
    returning id
), told as (
    insert into outbox (account_id, type, occurred_at, message_id, number)
    select $2, 'sms.failed', now(), id, {change_number(0, REJECTED_CHANGE)} from rejected
)
insert into history (message_id, number, at, state, attempt, detail)
select id, $6, now(), 'failed', 0, $7 from rejected
"""
