"""Signs of life of phones of the app's protocol: kept as they come, shown to people."""

import datetime as dt
from collections.abc import Sequence

from shared.contracts.rpc.apps import AppFacts, AppSign
from shared.db.pool import Pool
from shared.model.ids import parse_attempt_id

SUSPECT_S = 60
"""A text that expires on its phone within this many seconds of the taking was not too old: the clock is wrong."""


class Signs:
    """What such phones let be known of themselves."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def note(self, signs: Sequence[AppSign]) -> None:
        """Keeps signs of life; those of unknown phones are passed over."""
        ordered = sorted(signs, key=lambda sign: sign.device)
        heard = [(*parsed, s) for s in signs for text in s.heard if (parsed := parse_attempt_id(text))]
        expired = [(*parsed, s) for s in signs for text in s.expired if (parsed := parse_attempt_id(text))]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                _NOTE,
                [sign.account for sign in ordered],
                [sign.device for sign in ordered],
                [_utc(sign.seen_at) for sign in ordered],
                [_utc(sign.hooked_at) for sign in ordered],
                [sign.signed for sign in ordered],
                [sign.unsigned for sign in ordered],
                [sign.clock_off_s for sign in ordered],
                [sign.status for sign in ordered],
                [sign.battery for sign in ordered],
                [sign.failed_texts for sign in ordered],
                [_utc(sign.health_at) for sign in ordered],
            )
            for statement, found in ((_HEARD, heard), (_EXPIRED, expired)):
                if found:
                    await connection.execute(
                        statement,
                        [message for message, _, _ in found],
                        [number for _, number, _ in found],
                        [sign.account for _, _, sign in found],
                        [sign.device for _, _, sign in found],
                        [_utc(sign.seen_at) for _, _, sign in found],
                    )

    async def of_phones(self, account: int, devices: Sequence[str]) -> list[AppFacts]:
        """What those of an account's phones let be known that are of this kind, by phone."""
        return [AppFacts(**dict(row)) for row in await self._pool.fetch(_OF_PHONES, account, devices)]


def _utc(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


_NOTE = """
with told as (
    select * from unnest(
        $1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::boolean[], $6::boolean[], $7::int[],
        $8::text[], $9::smallint[], $10::int[], $11::timestamptz[]
    ) as t (
        account_id, device_id, seen_at, hooked_at, signed, unsigned, clock_off_s,
        status, battery, failed_texts, health_at
    )
), known as (
    select d.id from devices d join told t on t.device_id = d.id and t.account_id = d.account_id
    where d.deleted_at is null
    order by d.id for update of d
), seen as (
    update devices d set last_seen_at = greatest(d.last_seen_at, t.seen_at)
    from told t join known k on k.id = t.device_id where d.id = k.id
)
insert into apps as a (
    device_id, hooked_at, signed_at, unsigned_at, clock_off_s, status, battery, failed_texts, health_at
)
select device_id, hooked_at, case when signed then seen_at end, case when unsigned then seen_at end, clock_off_s,
    status, battery, failed_texts, health_at
from told join known on known.id = device_id
order by device_id
on conflict (device_id) do update set
    hooked_at = coalesce(excluded.hooked_at, a.hooked_at),
    signed_at = coalesce(a.signed_at, excluded.signed_at),
    unsigned_at = coalesce(excluded.unsigned_at, a.unsigned_at),
    clock_off_s = coalesce(excluded.clock_off_s, a.clock_off_s),
    status = case when excluded.health_at is null then a.status else excluded.status end,
    battery = case when excluded.health_at is null then a.battery else excluded.battery end,
    failed_texts = case when excluded.health_at is null then a.failed_texts else excluded.failed_texts end,
    health_at = coalesce(excluded.health_at, a.health_at)
"""

_TOLD_OF = """
    select * from unnest($1::bytea[], $2::smallint[], $3::bigint[], $4::text[], $5::timestamptz[])
    as t (message_id, number, account_id, device_id, seen_at)
"""

_HEARD = f"""
with told as (
    {_TOLD_OF}
), mine as (
    select w.message_id, t.seen_at from work w join told t on t.message_id = w.message_id and t.number = w.attempt
    where w.holder = t.device_id and w.account_id = t.account_id and w.state = 'taken'
    order by w.message_id for update of w
)
update work w set heard_at = m.seen_at from mine m where w.message_id = m.message_id
"""

_EXPIRED = f"""
with told as (
    {_TOLD_OF}
), suspect as (
    select a.device_id, max(t.seen_at) as seen_at
    from attempts a join told t on t.message_id = a.message_id and t.number = a.number
    where a.device_id = t.device_id and a.account_id = t.account_id
        and a.taken_at > t.seen_at - make_interval(secs => {SUSPECT_S})
    group by a.device_id
)
update apps a set clock_doubted_at = s.seen_at from suspect s where a.device_id = s.device_id
"""

_OF_PHONES = """
select p.device_id as device, p.status, p.battery, p.failed_texts, p.signed_at is not null as signed, p.clock_off_s,
    extract(epoch from p.health_at)::float8 as health_at, extract(epoch from p.hooked_at)::float8 as hooked_at,
    extract(epoch from p.unsigned_at)::float8 as unsigned_at,
    extract(epoch from p.clock_doubted_at)::float8 as clock_doubted_at
from apps p join devices d on d.id = p.device_id
where d.account_id = $1 and p.device_id = any($2::text[]) and d.deleted_at is null
order by 1
"""
