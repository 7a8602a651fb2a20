"""What is told of one message: its rows, its changes, and why it waits; and its cancelling."""

from typing import Literal

from services.dispatcher.states import CANCELED_CHANGE
from shared.contracts.rpc import Change, MessageStory
from shared.db.pool import Pool

CancelOutcome = Literal["canceled", "too_late", "not_found"]


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
            waiting=row["waiting"],
        )

    async def cancel(self, message: bytes, account: int | None) -> CancelOutcome:
        """Ends a message that no phone has taken, in one conditional statement."""
        outcome: CancelOutcome = await self._pool.fetchval(_CANCEL, message, account)
        return outcome


_SHOW = """
select m.account_id, m.recipient, m.parts, m.encoding, m.priority, m.reason,
    case w.state when 'later' then 'scheduled' when 'ready' then 'queued'
        when 'leased' then 'leased' when 'taken' then case m.state when 'unknown' then 'unknown' else 'taken' end
        else m.state end as state,
    extract(epoch from m.accepted_at)::float8 as accepted_at,
    extract(epoch from m.scheduled_at)::float8 as scheduled_at,
    extract(epoch from m.valid_until)::float8 as valid_until,
    coalesce(w.holder, m.device_id) as device_id, coalesce(w.sim, m.sim) as sim,
    case
        when w.state = 'later' then 'its time has not come'
        when w.state = 'leased' then 'a phone has it and has not begun'
        when w.state = 'taken' then 'a phone is sending it and has not reported'
        when w.state = 'ready' and not exists (
            select from devices d join queues q on q.id = w.queue
            where d.account_id = m.account_id and d.closed_at is null and d.deleted_at is null and d.approved
                and d.renewed_at > now() - interval '30 seconds'
                and q.channel = any(d.channels) and coalesce(q.device_id, d.id) = d.id
                and (q.sim is null or exists (select from sims s where s.device_id = d.id and s.slot = q.sim))
        ) then 'no phone that may send it is online'
        when w.state = 'ready' then 'it is next for a phone that has room'
    end as waiting
from messages m left join work w on w.message_id = m.id
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
)
select case
    when exists (select from gone) then 'canceled'
    when exists (select from found) then 'too_late'
    else 'not_found'
end
"""
