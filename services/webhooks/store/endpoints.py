"""Endpoints: what their owners chose, their sealed secrets, and how they fare."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.webhooks.breaker import WINDOW_AFTER_PAUSE
from shared.contracts.rpc.webhooks import ClassicSettings, Endpoint, Filter
from shared.db.pool import Pool, Row
from shared.security.vault import Sealed

Kind = Literal["signing", "request"]


@dataclass(frozen=True)
class Chosen:
    """What an endpoint's owner chose, checked. `header_names` and `auth` only name what `request` secrets hold."""

    url: str
    description: str
    filter: Filter
    classic: ClassicSettings
    header_names: Sequence[str]
    auth: str | None
    max_window: int


@dataclass(frozen=True)
class SealedSecret:
    """A sealed secret; `ends_at` (Unix seconds) is when one that was replaced signs no longer."""

    kind: Kind
    sealed: Sealed
    ends_at: float | None


@dataclass(frozen=True)
class Callee:
    """What a worker needs to call an endpoint; the newest secret first."""

    endpoint: str
    version: int
    url: str
    format: str
    secrets: list[SealedSecret]


@dataclass(frozen=True)
class Rotated:
    """A secret has been replaced; when the last older one ends (Unix seconds), None without older ones."""

    older_until: float | None


class Endpoints:
    """The verbs of endpoints."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def create(
        self, endpoint: str, account: int, format: str, chosen: Chosen, signing: Sealed, request: Sealed | None
    ) -> bool:
        """Makes the endpoint with its secrets; False when there is no such account."""
        return bool(
            await self._pool.fetchval(_CREATE, endpoint, account, format, *_values(chosen), *signing, *_box(request))
        )

    async def update(self, account: int, endpoint: str, chosen: Chosen, request: Sealed | None, keep: bool) -> bool:
        """Changes what its owner chose; False when the account has no such endpoint.

        `request` replaces the headers and authentication, also with nothing, unless `keep`.
        """
        return bool(await self._pool.fetchval(_UPDATE, endpoint, account, *_values(chosen), keep, *_box(request)))

    async def shown(self, account: int, endpoint: str | None) -> list[Endpoint]:
        """The account's endpoints in order of creation, or the one asked for, and how they fare."""
        return [_shown(row) for row in await self._pool.fetch(_LIST, account, endpoint)]

    async def pause(self, account: int, endpoint: str, reason: str) -> bool:
        """Stops sending to it; its events wait. False when the account has no such endpoint."""
        return bool(await self._pool.fetchval(_PAUSE, account, endpoint, reason))

    async def enable(self, account: int, endpoint: str) -> bool:
        """Sends to it again, slowly at first, whatever stopped it. False when the account has no such endpoint."""
        return bool(await self._pool.fetchval(_ENABLE, account, endpoint, WINDOW_AFTER_PAUSE))

    async def rotate(self, account: int, endpoint: str, signing: Sealed, overlap_s: int) -> Rotated | None:
        """A new signing secret; older ones end after `overlap_s`. None when the account has no such endpoint."""
        row = await self._pool.fetchrow(_ROTATE, account, endpoint, *signing, overlap_s)
        return Rotated(row["until"]) if row else None

    async def secrets(self, account: int, endpoint: str) -> Callee | None:
        """What is needed to call one endpoint of an account, whatever its state; None when there is no such one."""
        row = await self._pool.fetchrow(_CALLEES + " and e.account_id = $2 group by e.id", [endpoint], account)
        return _callee(row) if row else None

    async def callees(self, endpoints: Sequence[str]) -> list[Callee]:
        """What is needed to call these endpoints."""
        return [_callee(row) for row in await self._pool.fetch(_CALLEES + " group by e.id", list(endpoints))]

    async def delete(self, account: int, endpoint: str) -> bool:
        """Ends the endpoint, its undelivered events, its replays and its secrets; False when there is no such endpoint.

        Several statements: what follows the lock must see what a fan-out, for which the lock has waited, has added.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "select from endpoint_state where endpoint_id = $2 and account_id = $1 for update", account, endpoint
            )
            ended = await connection.fetchval(_DELETE, account, endpoint)
            if ended:
                await connection.execute(_CANCEL_ALL, endpoint)
        return bool(ended)


def _values(chosen: Chosen) -> tuple[object, ...]:
    return (
        chosen.url,
        chosen.description,
        chosen.filter.types,
        chosen.filter.devices,
        chosen.filter.sims,
        chosen.filter.numbers,
        chosen.classic.number_format,
        chosen.classic.time_format,
        chosen.classic.time_zone,
        list(chosen.header_names),
        chosen.auth,
        chosen.max_window,
    )


def _box(sealed: Sealed | None) -> tuple[str | None, bytes | None]:
    return (sealed.key_id, sealed.box) if sealed else (None, None)


def _shown(row: Row) -> Endpoint:
    values = dict(row)
    filter = Filter(**{name: values.pop(name) for name in ("types", "devices", "sims", "numbers")})
    classic = ClassicSettings(**{name: values.pop(name) for name in ("number_format", "time_format", "time_zone")})
    return Endpoint(filter=filter, classic=classic, **values)


def _callee(row: Row) -> Callee:
    secrets = [
        SealedSecret(kind, Sealed(key_id, box), ends_at)
        for kind, key_id, box, ends_at in zip(row["kinds"], row["key_ids"], row["boxes"], row["ends"], strict=True)
    ]
    return Callee(row["id"], row["version"], row["url"], row["format"], secrets)


_CREATE = """
with made as (
    insert into endpoints (
        id, account_id, format, url, description, types, devices, sims, numbers, number_format, time_format, time_zone,
        header_names, auth, max_window
    )
    select $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 from accounts where id = $2
    returning id, account_id
), state as (
    insert into endpoint_state (endpoint_id, account_id, width) select id, account_id, least(4, $15) from made
)
insert into endpoint_secrets (endpoint_id, kind, key_id, box)
select m.id, s.kind, s.key_id, s.box
from made m, (values ('signing', $16, $17::bytea), ('request', $18, $19::bytea)) as s (kind, key_id, box)
where s.box is not null
returning true
"""

_UPDATE = """
with changed as (
    update endpoints
    set url = $3, description = $4, types = $5, devices = $6, sims = $7, numbers = $8, number_format = $9,
        time_format = $10, time_zone = $11, header_names = $12, auth = $13, max_window = $14, version = version + 1
    where id = $1 and account_id = $2 and deleted_at is null
    returning id
), old as (
    delete from endpoint_secrets using changed where endpoint_id = changed.id and kind = 'request' and not $15
), new as (
    insert into endpoint_secrets (endpoint_id, kind, key_id, box)
    select id, 'request', $16, $17 from changed where not $15 and $17::bytea is not null
)
select true from changed
"""

_LIST = """
select e.id, e.account_id as account, e.url, e.format, e.description, e.enabled, e.state, e.reason,
    extract(epoch from e.state_since)::float8 as state_since,
    extract(epoch from e.created_at)::float8 as created_at,
    e.types, e.devices, e.sims, e.numbers, e.number_format, e.time_format, e.time_zone, e.header_names, e.auth,
    e.max_window,
    (
        select count(*) from endpoint_secrets
        where endpoint_id = e.id and kind = 'signing' and (ends_at is null or ends_at > now())
    )::int as signing_secrets,
    coalesce(s.width, 0) as window,
    extract(epoch from s.probe_at)::float8 as probe_at,
    extract(epoch from s.failing_since)::float8 as failing_since,
    extract(epoch from s.last_success_at)::float8 as last_success_at,
    extract(epoch from s.last_failure_at)::float8 as last_failure_at,
    s.last_error,
    (
        select extract(epoch from now() - queued_at)::float8 from deliveries
        where endpoint_id = e.id and state = 'pending' order by id limit 1
    ) as lag_s,
    coalesce(s.pending, 0) as pending, coalesce(s.delivered, 0) as delivered, coalesce(s.exhausted, 0) as exhausted,
    coalesce(s.expired, 0) as expired, coalesce(s.canceled, 0) as canceled, coalesce(s.failures, 0) as failures
from endpoints e left join endpoint_state s on s.endpoint_id = e.id
where e.account_id = $1 and e.deleted_at is null and ($2::text is null or e.id = $2)
order by e.created_at, e.id
"""

_PAUSE = """
with locked as materialized (
    select endpoint_id from endpoint_state where endpoint_id = $2 and account_id = $1 for no key update
)
update endpoints e
set state = 'paused', reason = nullif($3, ''),
    state_since = case when e.state = 'paused' then state_since else now() end
from locked l
where e.id = l.endpoint_id and e.deleted_at is null
returning true
"""

_ENABLE = """
with locked as materialized (
    select endpoint_id, width from endpoint_state where endpoint_id = $2 and account_id = $1 for no key update
), enabled as (
    update endpoints e
    set state = 'enabled', reason = null, state_since = now()
    from locked l
    where e.id = l.endpoint_id and e.deleted_at is null and (e.state <> 'enabled' or l.width = 0)
    returning e.id
), opened as (
    -- It is believed to be well until it fails anew; what its owner was warned of is over when it takes an event.
    update endpoint_state s
    set width = $3, probe_at = null, probes = 0, failures_in_row = 0, failing_since = null, minute = '-infinity'
    from enabled where s.endpoint_id = enabled.id
)
select true from locked
"""

_ROTATE = """
with mine as materialized (
    update endpoints set version = version + 1
    where id = $2 and account_id = $1 and deleted_at is null
    returning id
), ending as (
    update endpoint_secrets s
    set ends_at = least(coalesce(s.ends_at, 'infinity'), now() + $5::int * interval '1 second')
    from mine
    where s.endpoint_id = mine.id and s.kind = 'signing' and (s.ends_at is null or s.ends_at > now())
    returning s.ends_at
), new as (
    insert into endpoint_secrets (endpoint_id, kind, key_id, box) select id, 'signing', $3, $4 from mine
)
select (select extract(epoch from max(ends_at))::float8 from ending where ends_at > now()) as until from mine
"""

_CALLEES = """
select e.id, e.version, e.url, e.format,
    coalesce(array_agg(s.kind order by s.id desc) filter (where s.id is not null), '{}') as kinds,
    coalesce(array_agg(s.key_id order by s.id desc) filter (where s.id is not null), '{}') as key_ids,
    coalesce(array_agg(s.box order by s.id desc) filter (where s.id is not null), '{}') as boxes,
    coalesce(
        array_agg(extract(epoch from s.ends_at)::float8 order by s.id desc) filter (where s.id is not null), '{}'
    ) as ends
from endpoints e
     left join endpoint_secrets s on s.endpoint_id = e.id and (s.ends_at is null or s.ends_at > now())
where e.id = any($1) and e.deleted_at is null
"""

_DELETE = """
with ended as (
    update endpoints set deleted_at = now()
    where id = $2 and account_id = $1 and deleted_at is null
    returning id
), state as (
    delete from endpoint_state using ended where endpoint_id = ended.id
), secrets as (
    delete from endpoint_secrets using ended where endpoint_id = ended.id
), replayed as (
    update replays r set state = 'canceled', ended_at = now()
    from ended
    where r.endpoint_id = ended.id and r.state = 'running'
)
select true from ended
"""

_CANCEL_ALL = """
update deliveries set state = 'canceled', ended_at = now(), claim = null where endpoint_id = $1 and state = 'pending'
"""
