"""What became of deliveries: lists of them and of their attempts, for people."""

from collections.abc import Sequence

from shared.contracts.rpc.deliveries import Attempt, Attempts, Delivery
from shared.db.pool import Pool, Row

HEAD_BYTES = 2048
"""What a list of attempts shows of each answer's body."""


class Deliveries:
    """Reads deliveries."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def newest(
        self,
        account: int,
        *,
        endpoint: str | None,
        event: str | None,
        states: Sequence[str],
        before: int | None,
        limit: int,
    ) -> list[Delivery]:
        """The account's deliveries, newest first. `event` is a UUID, `states` empty means all."""
        if event is not None:
            rows = await self._pool.fetch(_OF_EVENT, account, event, endpoint, list(states))
        else:
            rows = await self._pool.fetch(_LIST, account, endpoint, list(states), before, limit)
        return [_delivery(row) for row in rows]

    async def attempts(self, account: int, delivery: int, number: int | None, limit: int) -> Attempts | None:
        """A delivery with its posts, newest first; None when the account has no such delivery."""
        row = await self._pool.fetchrow(_ONE, account, delivery)
        if row is None:
            return None
        logged = await self._pool.fetch(_ATTEMPTS, delivery, number, limit, None if number else HEAD_BYTES)
        attempts = [_attempt(each) for each in logged]
        if row["running"] is not None and number in (None, row["tries"]):
            attempts.insert(0, Attempt(number=row["tries"], outcome=row["running"], started_at=row["claimed_at"]))
        return Attempts(delivery=_delivery(row), body=row["body"], attempts=attempts)


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        event=str(row["event_id"]),
        endpoint=row["endpoint_id"],
        type=row["type"],
        state=row["state"],
        lane=row["lane"],
        attempts=row["attempts"],
        tries=row["tries"],
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"],
        ended_at=row["ended_at"],
        last_error=row["last_error"],
        replay=row["replay_id"],
    )


def _attempt(row: Row) -> Attempt:
    values = dict(row)
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in values.pop("response_headers"))]
    error = values["error"]
    outcome = "delivered" if error is None else "unknown" if error == "unknown" else "failed"
    return Attempt(outcome=outcome, response_headers=headers, **values)  # type: ignore[arg-type]


_COLUMNS = """
    d.id, d.event_id, d.endpoint_id, d.type, d.state, d.lane, d.attempts, d.tries, d.last_error, d.replay_id,
    extract(epoch from d.created_at)::float8 as created_at,
    case when d.state = 'pending' then extract(epoch from d.next_attempt_at)::float8 end as next_attempt_at,
    extract(epoch from d.ended_at)::float8 as ended_at
"""

# Each index holds a part of the states; a branch whose states are not asked for reads nothing.
_LIST = f"""
select {_COLUMNS}
from endpoints e cross join lateral (
    (
        select * from deliveries
        where endpoint_id = e.id and state = 'pending' and id < coalesce($4, 9223372036854775807)
          and ($3::text[] = '{{}}' or 'pending' = any($3))
        order by id desc limit $5
    )
    union all
    (
        select * from deliveries
        where endpoint_id = e.id and state <> 'pending' and id < coalesce($4, 9223372036854775807)
          and ($3::text[] = '{{}}' or state = any($3) and not $3::text[] <@ '{{exhausted,expired}}')
        order by id desc limit $5
    )
    union all
    (
        select * from deliveries
        where endpoint_id = e.id and state in ('exhausted', 'expired') and id < coalesce($4, 9223372036854775807)
          and state = any($3) and $3::text[] <@ '{{exhausted,expired}}'
        order by id desc limit $5
    )
) d
where e.account_id = $1 and ($2::text is null or e.id = $2)
order by d.id desc
limit $5
"""

_OF_EVENT = f"""
select {_COLUMNS}
from deliveries d
where d.event_id = $2::uuid and d.account_id = $1 and ($3::text is null or d.endpoint_id = $3)
  and ($4::text[] = '{{}}' or d.state = any($4))
order by d.id desc
"""

_ONE = f"""
select {_COLUMNS}, d.body, extract(epoch from d.claimed_at)::float8 as claimed_at,
    case when d.claim is null then null when d.next_attempt_at > now() then 'running' else 'unknown' end as running
from deliveries d
where d.account_id = $1 and d.id = $2
"""

_ATTEMPTS = """
select number, extract(epoch from started_at)::float8 as started_at, duration_ms, status, error, detail, dns_ms,
    connect_ms, tls_ms, first_byte_ms, remote_address, response_headers,
    substring(response_head from 1 for coalesce($4, 1000000)) as response_head
from delivery_attempts
where delivery_id = $1 and ($2::int is null or number = $2)
order by started_at desc, number desc
limit $3
"""
