"""Messages at acceptance and at rest: the log's rows, and the live row that each begins with."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.dispatcher.routing import SPILL_S, Chosen, QueueKey
from services.dispatcher.states import REJECTED_CHANGE, change_number
from services.dispatcher.store.lanes import TAGGED
from services.dispatcher.store.queues import Queues, ReadyCount
from services.dispatcher.store.unsearched import unsearched
from shared.contracts.commands import SubmitSms
from shared.db.pool import Connection, Pool
from shared.model.storable import is_storable

ROWS_PER_STATEMENT = 1000
"""More recipients than these are stored by several statements."""

Prefer = Callable[[SubmitSms], Chosen | None]
"""Chooses a first phone for each recipient of a command; None for one that no choice is made for."""


class Accepted(NamedTuple):
    """One recipient's message, about to be stored. `chosen`: the preferred phone and its queue."""

    id: bytes
    number: str
    command: SubmitSms
    queue: int
    chosen: tuple[str, int] | None


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


class Messages:
    """Writes the log."""

    def __init__(self, pool: Pool, queues: Queues) -> None:
        """Uses this pool and these queues."""
        self._pool = pool
        self._queues = queues

    async def submit(self, commands: Sequence[SubmitSms], prefer: Prefer | None = None) -> list[ReadyCount]:
        """Stores each recipient's message once, whatever is submitted again; returns what became ready.

        `prefer` chooses a first phone where any may send it. Raises what Postgres raises; a repetition of the whole
        call is harmless.
        """
        choices = [prefer(command) if prefer else None for command in commands]
        homes = await self._queues.intern([_wanted_queue(command) for command in commands])
        rows = []
        for command, choice, home in zip(commands, choices, homes, strict=True):
            devices = choice.devices if choice else [None] * len(command.recipients)
            keys = {device: QueueKey(command.account, device, None, command.channel) for device in devices if device}
            queues = dict(zip(keys, await self._queues.intern(list(keys.values())), strict=True))
            rows += [
                Accepted(recipient.id, recipient.number, command, home, (device, queues[device]) if device else None)
                for recipient, device in zip(command.recipients, devices, strict=True)
            ]
        within_reach = list({device for choice in choices if choice for device in choice.within_reach})
        ready: list[ReadyCount] = []
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            ready += await self._submit_rows(rows[start : start + ROWS_PER_STATEMENT], within_reach)
        return ready

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

    async def _submit_rows(self, rows: list[Accepted], within_reach: list[str]) -> list[ReadyCount]:
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
            [row.chosen[0] if row.chosen else None for row in rows],
            [row.chosen[1] if row.chosen else None for row in rows],
            within_reach,
        )
        return [ReadyCount(record["queue"], record["messages"]) for record in records]


def _wanted_queue(command: SubmitSms) -> QueueKey:
    return QueueKey(command.account, command.device, command.sim, command.channel)


def _clean(text: str) -> str:
    return text if is_storable(text) else text.encode(errors="replace").decode().replace("\0", "\ufffd")


async def lock_messages(connection: Connection, ids: Sequence[bytes]) -> None:
    """Locks these messages in order of id: the first lock of every change that is not a lease or a take."""
    await connection.execute("select from messages where id = any($1) order by id for update", ids)


# The preferred phone is the one that last talked to the recipient, if it is within reach, else the one that was chosen
# by its expected wait. Its queue is a message's first one; after the spill time the sweeper moves it on. What is due
# later gets its tag when its time has come, so that it does not take its submitter's turns before.
_SUBMIT = f"""
with incoming as (
    select *, device_id is null and sim is null and scheduled_at <= now() as free from unnest(
        $1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::int[], $10::smallint[], $11::text[], $12::text[], $13::text[], $14::text[], $15::smallint[],
        $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::text[], $20::bigint[]
    ) with ordinality as t (
        id, recipient, home, account_id, submitter, text, channel, encoding, parts, priority, origin, client_ref,
        media_url, device_id, sim, accepted_at, scheduled_at, valid_until, idle_device_id, idle_queue, place
    )
), routed as (
    select i.*, coalesce(known.queue, i.idle_queue, i.home) as queue,
        coalesce(known.device_id, i.idle_device_id) as preferred_device_id,
        case
            when known.queue is not null then 'contact'
            when i.idle_queue is not null then 'shortest_wait'
            when i.device_id is not null or i.sim is not null then 'pinned'
            else 'any'
        end as route
    from incoming i left join lateral (
        select c.device_id, q.id as queue
        from contacts c join queues q
            on q.account_id = c.account_id and q.device_id = c.device_id and q.sim is null and q.channel = i.channel
        where i.free and c.account_id = i.account_id and c.number = i.recipient and c.device_id = any($21)
    ) known on true
), inserted as (
    insert into messages (
        id, account_id, submitter, recipient, text, channel, encoding, parts, priority, origin, client_ref,
        media_url, wanted_device_id, wanted_sim, accepted_at, scheduled_at, valid_until, state, route,
        preferred_device_id
    )
    select id, account_id, submitter, recipient, text, channel, encoding, parts, priority, origin, client_ref,
        media_url, device_id, sim, accepted_at, scheduled_at, valid_until,
        case when scheduled_at > now() then 'scheduled' else 'queued' end, route, preferred_device_id
    from routed order by id
    on conflict (id) do nothing
    returning id
), stored as (
    select r.id, r.queue, r.submitter, r.parts, r.place, r.account_id, r.priority, r.scheduled_at, r.accepted_at,
        r.valid_until, case when r.queue <> r.home then now() + interval '{SPILL_S} seconds' end as spill_at
    from routed r join inserted using (id)
), fresh as (
    select id, queue, submitter, parts, place from stored where scheduled_at <= now()
), {TAGGED}, working as (
    insert into work (message_id, account_id, queue, prio, tag, parts, due, spill_at, valid_until, state)
    select id, account_id, queue, priority, coalesce(tag, 0), parts, scheduled_at, spill_at, valid_until,
        case when scheduled_at > now() then 'later' else 'ready' end
    from stored left join tagged using (id)
    returning queue, state
), announced as (
    insert into outbox (account_id, type, occurred_at, message_id)
    select account_id, 'sms.api.submitted', accepted_at, id from stored order by place
), {unsearched("stored", "id")}
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
), {unsearched("rejected", "id")}
insert into history (message_id, number, at, state, attempt, detail)
select id, $6, now(), 'failed', 0, $7 from rejected
"""
