"""What people ask about and do to messages: show, cancel, resend, delete."""

import datetime as dt
from typing import Final, Literal, NamedTuple

from services.dispatcher.states import CANCELED_CHANGE, CHANGES_PER_ATTEMPT, RESENDABLE
from services.dispatcher.store.accounts import LEAST_PRIORITY
from services.dispatcher.store.lanes import OUTLOOK
from services.dispatcher.store.phones import APP_PROTOCOLS
from services.dispatcher.store.unsearched import unsearched
from shared.contracts.rpc.messages import Change, MessageStory, Wait
from shared.db.pool import Pool

CancelOutcome = Literal["canceled", "wished", "too_late", "not_found"]
ResendOutcome = Literal["resent", "not_in_error", "not_found"]

_WAITING: Final[dict[Wait, str]] = {
    "campaign_paused": "its campaign is paused",
    "not_due": "its time has not come",
    "leased": "a phone has it and has not begun",
    "taken": "a phone is sending it and has not reported",
    "suspended": "the account is suspended",
    "quiet_hours": "the account has its quiet hours",
    "no_phone": "no phone that may send it is online",
    "preferred": "it waits for its preferred phone",
    "behind": "others are before it: {ahead} parts",
    "next": "it is next for a phone that has room",
}
"""As the operator's commands say it."""

DELETED_PER_STATEMENT = 1000
BLANK_AFTER = "1 day"
"""A deleted message's text is kept this long after it came to rest, for whoever deleted it by mistake."""


class Canceled(NamedTuple):
    """What came of a wish to cancel; `holder`: the app phone that must be asked, about which attempt."""

    outcome: CancelOutcome
    holder: str | None
    attempt: int


class Stories:
    """Reads and ends single messages."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def show(self, message: bytes, account: int | None) -> MessageStory | None:
        """The whole story; None where there is no such message (of this account, if one is named)."""
        row = await self._pool.fetchrow(_SHOW, message, account)
        if row is None:
            return None
        changes = [
            Change(
                number=change["number"],
                at=change["at"],
                state=change["state"],
                attempt=change["attempt"],
                device=change["device_id"],
                sim=change["sim"],
                detail=change["detail"],
            )
            for change in await self._pool.fetch(_CHANGES, message)
        ]
        return MessageStory(
            id=message.hex(),
            account=row["account_id"],
            state=row["state"],
            reason=row["reason"],
            recipient=row["recipient"],
            parts=row["parts"],
            encoding=row["encoding"],
            priority=row["priority"],
            accepted_at=row["accepted_at"],
            scheduled_at=row["scheduled_at"],
            valid_until=row["valid_until"],
            device=row["device_id"],
            sim=row["sim"],
            changes=changes,
            waiting=_WAITING[row["wait"]].format(ahead=row["ahead"]) if row["wait"] else None,
            route=row["route"],
            preferred_device=row["preferred_device_id"],
            estimated_at=row["estimated_at"],
            wait=row["wait"],
            ahead=row["ahead"] or 0,
        )

    async def cancel(self, message: bytes, account: int | None) -> Canceled:
        """Ends a message that no phone has taken, in one conditional statement.

        Of an app's phone, whose pull was the taking, it is wished: the phone's report decides.
        """
        (row,) = await self._pool.fetch(_CANCEL, message, account, APP_PROTOCOLS)
        return Canceled(row["outcome"], row["holder"], row["attempt"])

    async def resend(self, message: bytes, account: int, *, force: bool) -> tuple[ResendOutcome, int | None]:
        """Begins a fresh round of tries; the outcome, and the queue that has work now."""
        (row,) = await self._pool.fetch(_RESEND, message, account, force)
        return row["outcome"], row["queue"]

    async def delete_sent(self, account: int, message: bytes) -> int:
        """Hides one sent message and cancels it where no phone has it; 0 or 1."""
        count: int = await self._pool.fetchval(_DELETE_SENT, account, [message])
        return count

    async def delete_received(self, account: int, guid: str) -> int:
        """Hides one received message; 0 or 1."""
        count: int = await self._pool.fetchval(_DELETE_RECEIVED, account, guid)
        return count

    async def delete_between(self, account: int, start: float, end: float) -> int:
        """Hides everything accepted or received from `start` up to, not including, `end` (Unix seconds)."""
        low, high = (int(max(0, moment) * 1000).to_bytes(6, "big") for moment in (start, end))
        count: int = await self._pool.fetchval(
            _DELETE_RECEIVED_BETWEEN,
            account,
            dt.datetime.fromtimestamp(start, dt.UTC),
            dt.datetime.fromtimestamp(end, dt.UTC),
        )
        while True:
            rows = await self._pool.fetch(_SENT_BETWEEN, account, low, high, DELETED_PER_STATEMENT)
            ids = [row["id"] for row in rows]
            if not ids:
                return count
            count += await self._pool.fetchval(_DELETE_SENT, account, ids)

    async def blank_deleted(self, limit: int = 500) -> None:
        """Empties the texts of what was deleted more than a day ago."""
        await self._pool.execute(_BLANK_SENT, limit)
        await self._pool.execute(_BLANK_RECEIVED, limit)


_SHOW = f"""
with clock as (
    select now() as time
)
select m.account_id, m.route, m.preferred_device_id, m.recipient, m.parts, m.encoding, m.priority, m.reason,
    case w.state when 'later' then 'scheduled' when 'ready' then 'queued'
        when 'leased' then 'leased' when 'taken' then case m.state when 'unknown' then 'unknown' else 'taken' end
        else m.state end as state,
    extract(epoch from m.accepted_at)::float8 as accepted_at,
    extract(epoch from m.scheduled_at)::float8 as scheduled_at,
    extract(epoch from m.valid_until)::float8 as valid_until,
    coalesce(w.holder, m.device_id) as device_id, coalesce(w.sim, m.sim) as sim,
    case
        when w.state = 'later' and w.due = w.valid_until then 'campaign_paused'
        when w.state = 'later' then 'not_due'
        when w.state = 'leased' then 'leased'
        when w.state = 'taken' then 'taken'
        when w.state = 'ready' and a.status = 'suspended' then 'suspended'
        when w.state = 'ready' and w.prio < {LEAST_PRIORITY} then 'quiet_hours'
        when w.state = 'ready' and not exists (
            select from devices d join queues q on q.id = w.queue
            where d.account_id = m.account_id and d.closed_at is null and d.deleted_at is null and d.approved
                and d.renewed_at > now() - interval '30 seconds'
                and q.channel = any(d.channels) and coalesce(q.device_id, d.id) = d.id
                and (q.sim is null or exists (select from sims s where s.device_id = d.id and s.slot = q.sim))
        ) then 'no_phone'
        when w.state = 'ready' and w.spill_at > now() then 'preferred'
        when w.state = 'ready' and o.ahead > w.parts then 'behind'
        when w.state = 'ready' then 'next'
    end as wait, greatest(o.ahead - w.parts, 0)::int as ahead,
    extract(epoch from case
        when w.state = 'later' then nullif(w.due, w.valid_until)
        when w.state = 'ready' and o.parts_per_s > 0 then now() + make_interval(secs => o.ahead / o.parts_per_s)
    end)::float8 as estimated_at
from clock cross join messages m left join work w on w.message_id = m.id left join accounts a on a.id = m.account_id
left join lateral ({OUTLOOK}) o on true
where m.id = $1 and ($2::bigint is null or m.account_id = $2)
"""

_CHANGES = """
select number, extract(epoch from at)::float8 as at, state, attempt, device_id, sim, detail from (
    select 0 as number, accepted_at as at, 'accepted' as state, 0 as attempt, null as device_id, null::smallint as sim,
        null as detail
    from messages where id = $1
    union all
    select number * 16 + 2, taken_at, 'taken', number, device_id, sim, null from attempts where message_id = $1
    union all
    select number, at, state, attempt, device_id, sim, detail from history where message_id = $1
) changes
order by number
"""

_CANCEL = f"""
with found as (
    select id from messages where id = $1 and ($2::bigint is null or account_id = $2) for update
), gone as (
    delete from work w using found f where w.message_id = f.id and w.state <> 'taken'
    returning w.message_id, w.attempt, w.account_id
), ended as (
    update messages m set state = 'canceled', reason = 'canceled', attempt = g.attempt, ended_at = now()
    from gone g where m.id = g.message_id
), told as (
    insert into history (message_id, number, at, state, attempt)
    select message_id, attempt * 16 + {CANCELED_CHANGE}, now(), 'canceled', attempt from gone
    on conflict do nothing
), announced as (
    insert into outbox (account_id, type, occurred_at, message_id, number)
    select account_id, 'sms.failed', now(), message_id, attempt * 16 + {CANCELED_CHANGE} from gone
), wished as (
    update work w set cancel_wished_at = coalesce(w.cancel_wished_at, now())
    from found f, devices d, attempts a
    where w.message_id = f.id and w.state = 'taken' and d.id = w.holder and d.protocol = any($3)
        and a.message_id = w.message_id and a.number = w.attempt and a.state = 'taken'
    returning w.holder, w.attempt
), {unsearched("gone")}
select case
    when exists (select from gone) then 'canceled'
    when exists (select from wished) then 'wished'
    when exists (select from found) then 'too_late'
    else 'not_found'
end as outcome, (select holder from wished) as holder, coalesce((select attempt from wished), 0) as attempt
"""

_RESEND = f"""
with found as (
    select * from messages where id = $1 and account_id = $2 and deleted_at is null for update
), lane as (
    select q.id as queue, f.id, coalesce(
        (select w.tag from work w where w.queue = q.id and w.state = 'ready' order by w.prio desc, w.tag limit 1),
        (select max(l.last_tag) from lanes l where l.queue = q.id),
        0
    ) + f.parts as tag
    from found f join queues q on q.account_id = f.account_id and q.channel = f.channel
        and q.device_id is not distinct from f.wanted_device_id and q.sim is not distinct from f.wanted_sim
    where (f.state in {RESENDABLE} or (f.state = 'unknown' and $3)) and f.attempt < 255
        and f.reason is distinct from 'rejected'
        and not exists (select from devices d where d.id = f.wanted_device_id and d.deleted_at is not null)
), revived as (
    update messages m set
        state = 'queued', reason = null, ended_at = null, attempt = m.attempt + 1,
        valid_until = now() + (m.valid_until - m.scheduled_at)
    from lane where m.id = lane.id
    returning m.*
), working as (
    insert into work as w (message_id, account_id, queue, prio, tag, parts, due, valid_until, state, attempt)
    select r.id, r.account_id, l.queue, r.priority, l.tag, r.parts, now(), r.valid_until, 'ready', r.attempt
    from revived r join lane l using (id)
    on conflict (message_id) do update set
        queue = excluded.queue, tag = excluded.tag, due = excluded.due, valid_until = excluded.valid_until,
        state = 'ready', attempt = excluded.attempt, tries = 1, holder = null, session = null, sim = null,
        taken_at = null, spill_at = null, cancel_wished_at = null
    returning w.queue
), told as (
    insert into history (message_id, number, at, state, attempt, detail)
    select id, attempt * {CHANGES_PER_ATTEMPT}, now(), 'queued', attempt, 'resent' from revived
), {unsearched("revived", "id")}
select
    case
        when exists (select from working) then 'resent'
        when exists (select from found) then 'not_in_error'
        else 'not_found'
    end as outcome,
    (select queue from working) as queue
"""

_SENT_BETWEEN = """
select id from messages where account_id = $1 and id >= $2 and id < $3 and deleted_at is null order by id limit $4
"""

_DELETE_SENT = f"""
with found as (
    select id from messages where account_id = $1 and id = any($2) and deleted_at is null order by id for update
), gone as (
    delete from work w using found f where w.message_id = f.id and w.state <> 'taken'
    returning w.message_id, w.attempt, w.account_id
), hidden as (
    update messages m set
        deleted_at = now(),
        state = case when g.message_id is null then m.state else 'canceled' end,
        reason = case when g.message_id is null then m.reason else 'deleted' end,
        attempt = coalesce(g.attempt, m.attempt),
        ended_at = case when g.message_id is null then m.ended_at else now() end
    from found f left join gone g on g.message_id = f.id
    where m.id = f.id
    returning m.id
), told as (
    insert into history (message_id, number, at, state, attempt, detail)
    select message_id, attempt * {CHANGES_PER_ATTEMPT} + {CANCELED_CHANGE}, now(), 'canceled', attempt, 'deleted'
    from gone
    on conflict do nothing
), announced as (
    insert into outbox (account_id, type, occurred_at, message_id, number)
    select account_id, 'sms.failed', now(), message_id, attempt * {CHANGES_PER_ATTEMPT} + {CANCELED_CHANGE} from gone
), {unsearched("hidden", "id")}
select count(*)::int from hidden
"""

_DELETE_RECEIVED = """
with hidden as (
    update inbox set deleted_at = now()
    where account_id = $1 and guid = $2::uuid and deleted_at is null returning 1
)
select count(*)::int from hidden
"""

_DELETE_RECEIVED_BETWEEN = """
with hidden as (
    update inbox set deleted_at = now()
    where account_id = $1 and received_at >= $2 and received_at < $3 and deleted_at is null returning 1
)
select count(*)::int from hidden
"""

_BLANK_SENT = f"""
with old as (
    select id from messages m
    where deleted_at < now() - interval '{BLANK_AFTER}' and text <> ''
        and coalesce(ended_at, deleted_at) < now() - interval '{BLANK_AFTER}'
        and not exists (select from work w where w.message_id = m.id)
    order by id limit $1 for update skip locked
)
update messages m set text = '' from old where m.id = old.id
"""

_BLANK_RECEIVED = f"""
with old as (
    select id from inbox where deleted_at < now() - interval '{BLANK_AFTER}' and text <> ''
    order by id limit $1 for update skip locked
)
update inbox i set text = '' from old where i.id = old.id
"""
