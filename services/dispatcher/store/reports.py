"""Folds phones' reports into attempts and messages: one statement a batch, rows locked in order."""

import datetime as dt
from collections.abc import Sequence

from services.dispatcher.states import CHANGES_PER_ATTEMPT, PARTLY_SENT, RANKED, FoldedAttempt, retry_delays
from services.dispatcher.store.roster import Pace
from services.dispatcher.store.unsearched import unsearched
from shared.db.pool import Pool


def _utc(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


class Reports:
    """Writes what phones say of their attempts."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def fold(self, folded: Sequence[FoldedAttempt], chance: float = 0.5) -> list[Pace]:
        """Applies reports that were reduced to one row an attempt (states.fold).

        Attempts that were not given to that device of that account are passed over. A failed attempt is followed by
        another one later, where that is of use; `chance` (0 to 1) spreads the retries of different batches.
        Returns what each phone did.
        """
        delays = [retry_delays(row.reason, chance) for row in folded]
        rows = await self._pool.fetch(
            _FOLD,
            [row.message for row in folded],
            [row.number for row in folded],
            [row.device for row in folded],
            [row.account for row in folded],
            [row.state for row in folded],
            [row.reason for row in folded],
            [_utc(row.unknown_at) for row in folded],
            [_utc(row.canceled_at) for row in folded],
            [_utc(row.sent_at) for row in folded],
            [_utc(row.failed_at) for row in folded],
            [_utc(row.delivered_at) for row in folded],
            [row.reason == PARTLY_SENT for row in folded],
            *([(row_delays[nth] if row_delays else None) for row_delays in delays] for nth in range(3)),
        )
        return [Pace(*row) for row in rows]


_RANKS = f"array[{', '.join(repr(state) for state in RANKED)}]"

# Messages are locked first and in order, so that two folders never wait for each other in a circle. A state moves an
# attempt only upwards in rank; every time is kept. The message follows its attempts as states.derive() says. A sending
# that is told late withdraws a later try that nobody has taken. Each public change is told once: when its time is set
# for the first time, or when the message has failed for good.
_FOLD = f"""
with told as (
    select *, array_position({_RANKS}, state) as rank from unnest(
        $1::bytea[], $2::smallint[], $3::text[], $4::bigint[], $5::text[], $6::text[],
        $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[],
        $12::boolean[], $13::float8[], $14::float8[], $15::float8[]
    ) as t (
        message_id, number, device_id, account_id, state, reason,
        unknown_at, canceled_at, sent_at, failed_at, delivered_at, partly_sent, delay_1, delay_2, delay_3
    )
), locked as (
    select m.id, m.state, m.attempt from messages m
    where m.id = any($1)
    order by m.id for update
), before as (
    select a.* from attempts a join told t using (message_id, number) join locked l on l.id = a.message_id
    where a.device_id = t.device_id and a.account_id = t.account_id
    order by a.message_id, a.number for update of a
), after as (
    update attempts a set
        state = case when t.rank > array_position({_RANKS}, b.state) then t.state else b.state end,
        reason = case when t.rank > array_position({_RANKS}, b.state) then t.reason else b.reason end,
        unknown_at = coalesce(b.unknown_at, t.unknown_at),
        canceled_at = coalesce(b.canceled_at, t.canceled_at),
        sent_at = coalesce(b.sent_at, t.sent_at),
        failed_at = coalesce(b.failed_at, t.failed_at),
        delivered_at = coalesce(b.delivered_at, t.delivered_at)
    from told t join before b using (message_id, number)
    where a.message_id = b.message_id and a.number = b.number
    returning a.message_id, a.number, a.account_id, a.device_id, a.sim, a.state, a.reason,
        a.taken_at, t.partly_sent, array[t.delay_1, t.delay_2, t.delay_3] as delays,
        b.state as old_state, a.unknown_at, a.canceled_at, a.sent_at, a.failed_at, a.delivered_at,
        b.unknown_at as old_unknown_at, b.canceled_at as old_canceled_at, b.sent_at as old_sent_at,
        b.failed_at as old_failed_at, b.delivered_at as old_delivered_at
), changes as (
    select a.*, c.state as change, c.at,
        a.number * {CHANGES_PER_ATTEMPT} + array_position({_RANKS}, c.state) as change_number
    from after a cross join lateral (values
        ('unknown', a.unknown_at, a.old_unknown_at), ('canceled', a.canceled_at, a.old_canceled_at),
        ('sent', a.sent_at, a.old_sent_at), ('failed', a.failed_at, a.old_failed_at),
        ('delivered', a.delivered_at, a.old_delivered_at)
    ) as c (state, at, old_at)
    where c.at is not null and c.old_at is null
), deciding as (
    select distinct on (a.message_id) a.*, l.state as message_state
    from after a join locked l on l.id = a.message_id
    where a.state in ('sent', 'delivered') or a.number >= l.attempt
        or (a.sent_at is not null and a.old_sent_at is null)
    order by a.message_id, a.state = 'delivered' desc, a.state = 'sent' desc, a.number desc
), retried as (
    update work w set
        state = 'later', due = now() + make_interval(secs => d.delays[w.tries]), attempt = w.attempt + 1,
        tries = w.tries + 1, holder = null, session = null, sim = null, taken_at = null,
        queue = case when d.partly_sent then (
            select q.id from queues q, queues o
            where o.id = w.queue and q.account_id = o.account_id and q.channel = o.channel
                and q.device_id = d.device_id and q.sim = d.sim
        ) else w.queue end,
        spill_at = case when not d.partly_sent then w.spill_at end
    from deciding d
    where w.message_id = d.message_id and w.attempt = d.number and w.taken_at is not null and w.attempt < 255
        and w.cancel_wished_at is null
        and d.state = 'failed' and d.old_state <> 'failed' and (d.sent_at is null or d.partly_sent)
        and d.message_state not in ('sent', 'delivered') and d.delays[w.tries] is not null
        and w.valid_until > now() + make_interval(secs => d.delays[w.tries])
    returning w.message_id, w.attempt
), waiting as (
    update messages m set state = 'queued', reason = d.reason, attempt = r.attempt
    from retried r join deciding d using (message_id)
    where m.id = r.message_id
), moved as (
    update messages m set
        state = d.state, reason = d.reason, device_id = d.device_id, sim = d.sim,
        attempt = greatest(m.attempt, d.number),
        sent_at = coalesce(m.sent_at, d.sent_at), delivered_at = coalesce(m.delivered_at, d.delivered_at),
        ended_at = coalesce(m.ended_at, now())
    from deciding d
    where m.id = d.message_id and m.state <> 'delivered' and m.id not in (select message_id from retried)
        and (m.state <> 'sent' or d.state = 'delivered' or d.number >= m.attempt and not exists (
            select from attempts a where a.message_id = m.id and a.number <> d.number and a.state = 'sent'
        ))
        and (m.state, m.attempt) is distinct from (d.state, d.number)
        and (d.state in ('sent', 'delivered') or not exists (
            select from work w where w.message_id = m.id and w.attempt > d.number and w.state = 'taken'
        ))
    returning m.id, m.state, m.account_id, m.recipient, d.number, d.device_id, d.sim, d.failed_at
), resting as (
    select w.message_id from work w
    where w.message_id = any($1) and w.message_id in (
        select a.message_id from after a where a.number = w.attempt
        union all
        select d.message_id from deciding d where w.state <> 'taken' and d.sent_at is not null
    ) and w.message_id not in (select message_id from retried)
    order by w.message_id for update of w
), rested as (
    delete from work w using resting r where w.message_id = r.message_id
), told_history as (
    insert into history (message_id, number, at, state, attempt, device_id, sim, detail)
    select message_id, change_number, at, change, number, device_id, sim,
        case when change = state then reason end
    from changes
    on conflict do nothing
), told_events as (
    insert into outbox (account_id, type, occurred_at, message_id, device_id, sim, number)
    select account_id, 'sms.' || change, at, message_id, device_id, sim, change_number
    from changes
    where change in ('sent', 'delivered')
    union all
    select account_id, 'sms.failed', failed_at, id, device_id, sim,
        number * {CHANGES_PER_ATTEMPT} + array_position({_RANKS}, 'failed')
    from moved
    where state = 'failed'
    order by 4, 7
), talked as (
    insert into contacts as c (account_id, number, device_id, at)
    select distinct on (account_id, recipient) account_id, recipient, device_id, now()
    from moved where state in ('sent', 'delivered')
    order by account_id, recipient, id desc
    on conflict (account_id, number) do update set device_id = excluded.device_id, at = excluded.at
    where c.device_id <> excluded.device_id or c.at < excluded.at - interval '1 day'
), {unsearched("(select id from moved union all select message_id from retried) m", "id")}
select device_id, (count(*) filter (where change = 'sent'))::int as succeeded,
    (count(*) filter (where change = 'failed'))::int as failed,
    coalesce(sum(extract(epoch from now() - taken_at)) filter (where change = 'sent'), 0)::float8 as seconds
from changes where change in ('sent', 'failed')
group by device_id
"""
