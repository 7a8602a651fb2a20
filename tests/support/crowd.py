"""Thousands of phones of an account, as a fleet that grew for years leaves them: ten share each moment of enrolment."""

from shared.db.pool import Pool

ONLINE = 100
"""The first of them have a session for the next hour, and what they receive has not reached us for a day."""


def name_of(nth: int) -> str:
    """What a phone is called, as long as names may be."""
    return f"phone {nth:04} ".ljust(64, "n")


async def crowd(pool: Pool, account: int, count: int) -> list[str]:
    """Stores so many phones with two SIMs, their budgets and what their app says; returns them in order of enrolment.

    Before them the account should have none.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_PHONES, account, [name_of(nth) for nth in range(count)], ONLINE)
        for statement in (_SIMS, _BUDGETS, _APPS):
            await connection.execute(statement, account)
    return await in_order(pool, account)


async def in_order(pool: Pool, account: int) -> list[str]:
    """The account's phones in order of enrolment."""
    rows = await pool.fetch(
        "select id from devices where account_id = $1 and deleted_at is null order by created_at, id", account
    )
    return [row["id"] for row in rows]


_PHONES = """
insert into devices (
    id, account_id, name, protocol, software, journal, channels, approved, gateway, opened_at, renewed_at, closed_at,
    last_seen_at, created_at, present
)
select left(lpad(nth::text, 5, '0') || md5(format('%s %s', $1::bigint, nth)), 21), $1, name, 'smsgate',
    'SMSGate 1.44.0', '', '{sms,whatsapp}', true, 'gone', now() - interval '1 minute', now() + interval '1 hour',
    case when nth > $3 then now() end, now(), now() - interval '90 days' + interval '1 minute' * ((nth - 1) / 10),
    nth <= $3
from unnest($2::text[]) with ordinality as given (name, nth)
"""

_SIMS = """
insert into sims (device_id, slot, number, carrier)
select id, slot, '+15550001234', 'A carrier of some size' from devices, generate_series(1, 2) slot
where account_id = $1
on conflict do nothing
"""

_BUDGETS = """
insert into budgets (device_id, slot, per_minute, per_hour, per_day)
select device_id, slot, 10, 100, 1000 from sims join devices d on d.id = device_id where account_id = $1
on conflict do nothing
"""

_APPS = """
insert into apps (device_id, hooked_at, signed_at, unsigned_at, clock_off_s, status, battery, failed_texts, health_at)
select id, now() - interval '1 day', now(), now(), 3, 'pass', 80, 1, now() from devices where account_id = $1
on conflict do nothing
"""
