"""What came of deliveries, written down with all that follows from it for them and for their endpoints."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.webhooks.breaker import (
    FAILED_SHARE,
    FAILURES_IN_A_ROW,
    FIRST_PROBE_S,
    LONGEST_PROBE_S,
    SHARE_OF_AT_LEAST,
    WARN_AFTER_FAILURES,
    WARN_AFTER_S,
)
from services.webhooks.client import Outcome
from services.webhooks.store.claims import Claimed
from shared.db.pool import Pool


@dataclass(frozen=True)
class Completion:
    """What came of a claimed delivery. `retry_s`, `counted` and `last` say what to do after a failure."""

    delivery: Claimed
    outcome: Outcome
    retry_s: float = 0.0
    counted: bool = True
    last: bool = False
    overloaded: bool = False
    gone: bool = False


@dataclass(frozen=True)
class Turn:
    """An endpoint whose breaker opened or closed, or that said that it is gone."""

    endpoint: str
    event: str
    """The type of the event that tells of it."""


@dataclass(frozen=True)
class Completed:
    """How many results were written down, and what they meant for endpoints.

    A delivery whose lease has ended, so that another worker claimed it, and one that was canceled are left alone.
    """

    count: int
    turns: list[Turn]


class Results:
    """Takes back what was handed out."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def complete(self, completions: Sequence[Completion], chance: float) -> Completed:
        """Writes results, attempts, windows, breakers, counts and events in one statement.

        `chance` (0 up to 1) spreads the probes of open breakers.
        """
        outcomes = [each.outcome for each in completions]
        rows = await self._pool.fetch(
            _COMPLETE,
            [each.delivery.id for each in completions],
            [each.delivery.claim for each in completions],
            [each.delivery.endpoint for each in completions],
            [each.delivery.tries for each in completions],
            [each.retry_s for each in completions],
            [each.counted for each in completions],
            [each.last for each in completions],
            [each.overloaded for each in completions],
            [each.gone for each in completions],
            [each.duration_ms for each in outcomes],
            [each.status for each in outcomes],
            [each.error for each in outcomes],
            [each.detail for each in outcomes],
            [each.dns_ms for each in outcomes],
            [each.connect_ms for each in outcomes],
            [each.tls_ms for each in outcomes],
            [each.first_byte_ms for each in outcomes],
            [each.remote_address for each in outcomes],
            [_lines(each.response_headers) for each in outcomes],
            [each.response_head for each in outcomes],
            0.8 + 0.4 * chance,
        )
        turns = [Turn(row["endpoint"], row["event"]) for row in rows if row["event"]]
        return Completed(sum(row["count"] for row in rows), turns)


def sentence_of(last_error: str) -> str:
    """An expression of SQL: a `last_error` without the class that it begins with."""
    return f"regexp_replace({last_error}, '^[a-z_]+: ', '')"


def _lines(headers: Sequence[tuple[str, str]]) -> str:
    """Headers as one text, which unlike a list of lists has a form in Postgres whatever their number."""
    return "\n".join(f"{name}: {value}" for name, value in headers).replace("\0", "")


_COMPLETE = f"""
with result as materialized (
    select *
    from unnest(
        $1::bigint[], $2::uuid[], $3::text[], $4::int[], $5::float8[], $6::bool[], $7::bool[], $8::bool[], $9::bool[],
        $10::int[], $11::int[], $12::text[], $13::text[], $14::int[], $15::int[], $16::int[], $17::int[], $18::text[],
        $19::text[], $20::bytea[]
    ) as r (
        id, claim, endpoint, number, retry_s, counted, last, overloaded, gone,
        duration_ms, status, error, detail, dns_ms, connect_ms, tls_ms, first_byte_ms, remote_address,
        response_headers, response_head
    )
), was as materialized (
    select * from endpoint_state
    where endpoint_id = any(array(select endpoint from result))
    order by endpoint_id
    for no key update
), done as (
    update deliveries d
    set claim = null,
        claimed_at = null,
        state = case
            when r.error is null then 'delivered'
            -- It has had its attempts, and its endpoint takes others: the fault is the delivery's own.
            when r.last and w.width > 0 and w.last_success_at > d.first_attempt_at then 'exhausted'
            else 'pending'
        end,
        attempts = least(10, d.attempts + (r.error is null or r.counted and w.width > 0)::int),
        next_attempt_at = case
            when r.error is null then d.next_attempt_at
            -- The next probe is another delivery, so that one that always fails cannot keep the breaker open.
            when w.width = 0 then now() + least(r.retry_s, {FIRST_PROBE_S}) * interval '1 second'
            else now() + r.retry_s * interval '1 second'
        end,
        ended_at = case
            when r.error is null or r.last and w.width > 0 and w.last_success_at > d.first_attempt_at then now()
        end,
        last_error = r.error || coalesce(': ' || r.detail, '')
    from result r join was w on w.endpoint_id = r.endpoint
    where d.id = r.id and d.claim = r.claim and d.state = 'pending'
    returning d.id, d.endpoint_id, d.state, d.replay_id, r.number, r.overloaded, r.gone, r.duration_ms, r.status,
        r.error, r.detail, r.dns_ms, r.connect_ms, r.tls_ms, r.first_byte_ms, r.remote_address, r.response_headers,
        r.response_head
), logged as (
    insert into delivery_attempts (
        delivery_id, number, started_at, duration_ms, status, error, detail, dns_ms, connect_ms, tls_ms, first_byte_ms,
        remote_address, response_headers, response_head
    )
    select id, number, now() - duration_ms * interval '1 millisecond', duration_ms, status, error, detail, dns_ms,
        connect_ms, tls_ms, first_byte_ms, remote_address, string_to_array(response_headers, e'\\n'), response_head
    from done
), tally as materialized (
    select endpoint_id, count(*)::int as count,
        (count(*) filter (where error is null))::int as delivered,
        (count(*) filter (where error is not null))::int as failed,
        (count(*) filter (where state = 'exhausted'))::int as exhausted,
        bool_or(overloaded) as overloaded, bool_or(gone) as gone,
        (array_agg(error || coalesce(': ' || detail, '') order by id desc) filter (where error is not null))[1]
            as last_error
    from done group by endpoint_id
), sums as materialized (
    select w.*, t.count, t.delivered as ok, t.failed, t.exhausted as given_up, t.overloaded, t.gone,
        t.last_error as error,
        w.minute <= now() - interval '1 minute' as new_minute,
        case when t.delivered > 0 then 0 else w.failures_in_row + t.failed end as in_row,
        case when t.delivered > 0 then null else coalesce(w.failing_since, now()) end as since
    from was w join tally t using (endpoint_id)
), judged as materialized (
    select *,
        width > 0 and (
            in_row >= {FAILURES_IN_A_ROW}
            or (case when new_minute then 0 else minute_failed + minute_delivered end) + failed + ok
                   >= {SHARE_OF_AT_LEAST}
               and (case when new_minute then 0 else minute_failed end) + failed
                   >= {FAILED_SHARE} * ((case when new_minute then 0 else minute_failed + minute_delivered end)
                       + failed + ok)
        ) as opens,
        width = 0 and ok > 0 as closes,
        -- What was under way when it opened is no probe.
        width = 0 and ok = 0 and probe_at <= now() as probed
    from sums
), turned as materialized (
    select *,
        case
            when gone then 'endpoint.disabled'
            when ok > 0 and warned_at is not null and not opens then 'endpoint.recovered'
            when warned_at is null and (
                opens or in_row >= {WARN_AFTER_FAILURES} and since <= now() - {WARN_AFTER_S} * interval '1 second'
            ) then 'endpoint.failing'
        end as event
    from judged
), changed as (
    update endpoint_state s
    set width = case
            when t.opens then 0
            when t.width = 0 then t.closes::int
            when t.overloaded then greatest(1, t.width / 2)
            when t.ok > 0 then least(e.max_window, t.width + 1)
            else t.width
        end,
        probes = case when t.opens or t.ok > 0 then 0 when t.probed then least(t.probes + 1, 100) else t.probes end,
        probe_at = case
            when t.opens then now() + $21::float8 * {FIRST_PROBE_S} * interval '1 second'
            when t.probed then
                now() + $21::float8 * interval '1 second'
                    * least({LONGEST_PROBE_S}, {FIRST_PROBE_S} * power(2, least(t.probes + 1, 20)))
            when t.width = 0 and not t.closes then t.probe_at
        end,
        failures_in_row = t.in_row,
        failing_since = case when t.opens then coalesce(t.failing_since, now()) else t.since end,
        warned_at = case t.event
            when 'endpoint.failing' then now() when 'endpoint.recovered' then null else t.warned_at
        end,
        minute = case when t.new_minute then now() else t.minute end,
        minute_delivered = (case when t.new_minute or t.closes then 0 else t.minute_delivered end) + t.ok,
        minute_failed = (case when t.new_minute or t.closes then 0 else t.minute_failed end) + t.failed,
        last_success_at = case when t.ok > 0 then now() else t.last_success_at end,
        last_failure_at = case when t.failed > 0 then now() else t.last_failure_at end,
        last_error = coalesce(t.error, t.last_error),
        pending = t.pending - t.ok - t.given_up,
        delivered = t.delivered + t.ok,
        exhausted = t.exhausted + t.given_up,
        failures = t.failures + t.failed
    from turned t join endpoints e on e.id = t.endpoint_id
    where s.endpoint_id = t.endpoint_id
), disabled as (
    update endpoints e
    set state = 'disabled', reason = 'It answered that it is gone (HTTP 410).', state_since = now()
    from turned t
    where e.id = t.endpoint_id and t.gone and e.state = 'enabled'
), told as (
    insert into endpoint_events (account_id, endpoint_id, type, reason)
    select account_id, endpoint_id, event, {sentence_of("coalesce(error, last_error)")}
    from turned where event is not null
    union all
    select account_id, endpoint_id, 'endpoint.failing',
        format('It has refused %s event(s) for good while it took others: %s', given_up, {sentence_of("error")})
    from turned where given_up > 0
), replayed as (
    update replays r
    set delivered = r.delivered + d.delivered, exhausted = r.exhausted + d.exhausted
    from (
        select replay_id, count(*) filter (where error is null) as delivered,
            count(*) filter (where state = 'exhausted') as exhausted
        from done where replay_id is not null group by replay_id
    ) d
    where r.id = d.replay_id
)
select endpoint_id as endpoint, count, event from turned
"""
