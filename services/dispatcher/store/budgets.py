"""What SIMs may send and what they have used: settings, and the SQL by which leases and takes keep to them."""

from collections.abc import Sequence
from typing import NamedTuple

from services.dispatcher.budgets import SPANS, Limits
from shared.db.pool import Connection, Pool

_SPAN_ROWS = ", ".join(
    f"('{span.name}', {span.seconds}, {span.slice_s}, {span.places}, b.per_{span.name})" for span in SPANS
)

USED = f"""
    select b.device_id, b.slot, l.span, l.most, coalesce(sum(u.parts), 0)::int as used
    from clock cross join budgets b
    cross join lateral (values {_SPAN_ROWS}) as l (span, seconds, size, places, most)
    left join budget_use u on u.device_id = b.device_id and u.slot = b.slot and u.span = l.span
        and (u.slice + 1) * l.size > extract(epoch from clock.time) - l.seconds
"""
"""Use of each SIM's spans, to be completed by `where` and `group by 1, 2, 3, 4`; `clock (time)` must be in scope."""

CHARGE = f"""
    insert into budget_use as u (device_id, slot, span, place, slice, parts)
    select b.device_id, b.slot, l.span, s.slice % l.places, s.slice, t.parts
    from (select holder, sim, sum(parts)::int as parts from charged group by holder, sim) t
    join budgets b on b.device_id = t.holder and b.slot = t.sim
    cross join clock
    cross join lateral (values {_SPAN_ROWS}) as l (span, seconds, size, places, most)
    cross join lateral (select floor(extract(epoch from clock.time) / l.size)::bigint as slice) s
    order by 1, 2, 3
    on conflict (device_id, slot, span, place) do update set
        slice = greatest(u.slice, excluded.slice),
        parts = excluded.parts + case when excluded.slice > u.slice then 0 else u.parts end
"""
"""Counts what `charged (holder, sim, parts)` names against the budgets that there are."""


class SimBudget(NamedTuple):
    """A SIM's limits, its delay between sends (milliseconds), and what it used of each span."""

    device: str
    slot: int
    limits: Limits
    delay_ms: tuple[int, int]
    used: Limits


class Budgets:
    """Sets and reads budgets."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def set(
        self, account: int, device: str, slot: int | None, limits: Limits, delay_ms: tuple[int, int] | None
    ) -> int | None:
        """Changes the budget of one SIM or of all; returns how many SIMs, None where the account has no such phone.

        A limit of None stays as it is, 0 takes it away; `delay_ms` None stays as it is.
        """
        low, high = delay_ms or (None, None)
        count: int | None = await self._pool.fetchval(_SET, account, device, slot, *limits, low, high)
        return count

    async def of_phones(self, account: int, devices: Sequence[str]) -> list[SimBudget]:
        """The budgets of these phones of an account, by phone and slot."""
        rows = await self._pool.fetch(_OF_PHONES, account, devices)
        return [
            SimBudget(
                row["device_id"],
                row["slot"],
                Limits(row["per_minute"], row["per_hour"], row["per_day"]),
                (row["delay_min_ms"], row["delay_max_ms"]),
                Limits(row["used_minute"], row["used_hour"], row["used_day"]),
            )
            for row in rows
        ]


async def lock_budgets(connection: Connection, device: str) -> None:
    """Makes leases of this phone wait for each other, so that none counts on room that another is giving away."""
    await connection.execute("select from budgets where device_id = $1 order by slot for update", device)


_SET = """
with phone as (
    select id from devices where account_id = $1 and id = $2 and deleted_at is null
), slots as (
    select slot from sims where device_id = (select id from phone) and ($3::smallint is null or slot = $3)
), changed as (
    insert into budgets as b (device_id, slot, per_minute, per_hour, per_day, delay_min_ms, delay_max_ms)
    select $2, slot, nullif($4::int, 0), nullif($5::int, 0), nullif($6::int, 0), coalesce($7, 0), coalesce($8, 0)
    from slots order by slot
    on conflict (device_id, slot) do update set
        per_minute = nullif(coalesce($4, b.per_minute), 0),
        per_hour = nullif(coalesce($5, b.per_hour), 0),
        per_day = nullif(coalesce($6, b.per_day), 0),
        delay_min_ms = coalesce($7, b.delay_min_ms),
        delay_max_ms = coalesce($8, b.delay_max_ms)
    returning 1
)
select case when exists (select from phone) then (select count(*)::int from changed) end
"""

_OF_PHONES = f"""
with clock as (
    select now() as time
), used as (
    {USED}
    where b.device_id = any($2::text[])
        and b.device_id in (select id from devices where account_id = $1 and deleted_at is null)
    group by 1, 2, 3, 4
)
select b.*, sum(u.used) filter (where span = 'minute')::int as used_minute,
    sum(u.used) filter (where span = 'hour')::int as used_hour,
    sum(u.used) filter (where span = 'day')::int as used_day
from budgets b join used u using (device_id, slot)
group by b.device_id, b.slot
order by b.device_id, b.slot
"""
