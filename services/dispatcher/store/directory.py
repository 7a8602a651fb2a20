"""Reads the phones of an account for people: a page of them, some by id, or no more than what they are called."""

from collections.abc import Sequence
from typing import NamedTuple

from services.dispatcher.store.roster import LEAST_SENDS, PACE_FADES_S
from services.dispatcher.store.work import LEASE_S
from shared.contracts.phone import Sim
from shared.contracts.rpc.phones import Device, NamedDevice, NamedDevices
from shared.db.pool import Pool, Record


class Page(NamedTuple):
    """Phones in order of enrolment, where the pages around them are, and how many the account has and are online."""

    devices: list[Device]
    before: str | None
    after: str | None
    total: int
    online: int


class Directory:
    """Reads what `smsfleet phone list` and the dashboard show."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def page(self, account: int, before: str | None, after: str | None, limit: int | None) -> Page:
        """The first phones, those after one or those before one; none beside what is no phone of the account."""
        most = None if limit is None else limit + 1
        rows = await self._pool.fetch(_BEFORE if before else _AFTER, account, before or after, most)
        found, (total, online) = _devices(rows), rows[0][:2]
        further = limit is not None and len(found) > limit
        shown = found[-limit:] if before and limit else found[:limit]
        return Page(
            shown,
            shown[0].id if shown and (further if before else after) else None,
            shown[-1].id if shown and (before or further) else None,
            total,
            online,
        )

    async def some(self, account: int, ids: Sequence[str]) -> Page:
        """Those of these phones that the account has."""
        rows = await self._pool.fetch(_SOME, account, ids)
        return Page(_devices(rows), None, None, *rows[0][:2])

    async def named(self, account: int, ids: Sequence[str], limit: int) -> NamedDevices:
        """Those of these phones that the account has, and beside them its first ones until there are `limit`."""
        rows = await self._pool.fetch(_NAMED, account, ids, max(0, limit - len(ids)))
        named = [
            NamedDevice(
                id=row["id"],
                name=row["name"],
                online=row["is_online"],
                approved=row["approved"],
                paused=row["paused"],
                protocol=row["protocol"],
                sims=_sims(row),
            )
            for row in rows
            if row["id"] is not None
        ]
        return NamedDevices(named, *rows[0][:2])


def _devices(rows: Sequence[Record]) -> list[Device]:
    return [
        Device(
            id=row["id"],
            name=row["name"],
            online=row["is_online"],
            present=row["present"],
            paused=row["paused"],
            approved=row["approved"],
            protocol=row["protocol"],
            software=row["software"],
            session=row["session"],
            channels=list(row["channels"]),
            last_seen_at=row["last_seen_at"],
            last_report_at=row["last_report_at"],
            held=row["held"],
            failure_rate=row["failure_rate"],
            sims=_sims(row),
        )
        for row in rows
        if row["id"] is not None
    ]


def _sims(row: Record) -> list[Sim]:
    return [
        Sim(slot=slot, number=number, carrier=carrier)
        for slot, number, carrier in zip(row["slots"], row["numbers"], row["carriers"], strict=True)
    ]


_LIVE = f"d.closed_at is null and d.renewed_at > now() - make_interval(secs => {LEASE_S})"

# The counts come first and stand alone where no phone is found.
_COUNTED = f"""
counted as (
    select count(*)::int as total, (count(*) filter (where {_LIVE}))::int as online
    from devices d where d.account_id = $1 and d.deleted_at is null
)
"""

_TOLD = f"""
    d.id, coalesce(d.given_name, d.name) as name, d.approved, d.protocol, d.paused_at is not null as paused,
    {_LIVE} as is_online,
    array(select slot from sims s where s.device_id = d.id order by slot) as slots,
    array(select number from sims s where s.device_id = d.id order by slot) as numbers,
    array(select carrier from sims s where s.device_id = d.id order by slot) as carriers
"""

_SHOWN = f"""
select counted.*, {_TOLD}, d.software, d.session, d.channels, d.present,
    extract(epoch from d.last_seen_at)::float8 as last_seen_at,
    extract(epoch from p.at)::float8 as last_report_at,
    case when (p.succeeded + p.failed) * f.fade >= {LEAST_SENDS} then p.failed / (p.succeeded + p.failed) end
        as failure_rate,
    (select count(*)::int from work w where w.holder = d.id and w.state in ('leased', 'taken')) as held
from counted left join found d on true left join paces p on p.device_id = d.id
cross join lateral (select exp(-extract(epoch from now() - p.at) / {PACE_FADES_S}) as fade) f
order by d.created_at, d.id
"""

# A page begins behind a phone, as several share a time; one that was removed meanwhile still marks its place.
_PLACE = "place as (select created_at, id from devices where account_id = $1 and id = $2"

_AFTER = f"""
with {_COUNTED}, {_PLACE}
    union all select '-infinity', '' where $2::text is null
), found as (
    select * from devices
    where account_id = $1 and deleted_at is null and (created_at, id) > (select created_at, id from place)
    order by created_at, id limit $3::int
)
{_SHOWN}
"""

_BEFORE = f"""
with {_COUNTED}, {_PLACE}
), found as (
    select * from devices
    where account_id = $1 and deleted_at is null and (created_at, id) < (select created_at, id from place)
    order by created_at desc, id desc limit $3::int
)
{_SHOWN}
"""

_SOME = f"""
with {_COUNTED}, found as (
    select * from devices where account_id = $1 and id = any($2::text[]) and deleted_at is null
)
{_SHOWN}
"""

_NAMED = f"""
with {_COUNTED}, found as (
    select * from devices where account_id = $1 and id = any($2::text[]) and deleted_at is null
    union all (
        select * from devices where account_id = $1 and id <> all($2::text[]) and deleted_at is null
        order by created_at, id limit $3::int
    )
)
select counted.*, {_TOLD}
from counted left join found d on true
order by d.created_at, d.id
"""
