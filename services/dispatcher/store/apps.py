"""Phones of the app's protocol: their pulls, their streams' sessions, and what they let be known of themselves."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from services.dispatcher.budgets import APP_LIMITS
from services.dispatcher.store.accounts import LEAST_PRIORITY, NOTHING_MAY_GO
from services.dispatcher.store.phones import APP_PROTOCOLS
from services.dispatcher.store.roster import LEAST_SENDS, PACE_FADES_S
from shared.contracts.phone import Sim
from shared.contracts.rpc.apps import AppFacts, AppSign
from shared.db.pool import Pool
from shared.model.ids import parse_attempt_id

AGAIN_AFTER_S = 300
"""A taken message without any report is listed again after this many seconds: its list may not have arrived."""

AGAIN_UNTIL_S = 86_400
"""And no longer than this after its taking, far below the time for which the app is told to remember ids."""

MAX_AGAIN = 10
MAX_CANCELS = 50
"""Most taken messages in one list that are listed again, and that are asked back."""

SUSPECT_S = 60
"""A text that expires on its phone within this many seconds of the taking was not too old: the clock is wrong."""


class Arrived(NamedTuple):
    """A phone that asks for work: its session, whether it may work, its SIM slots and how fast it is.

    `seconds_each`: from taking to word of the sending, None: not known. `held`: what it took lately and has not sent.
    """

    session: int
    works: bool
    slots: Sequence[int]
    seconds_each: float | None
    held: int


class Listed(NamedTuple):
    """A taken message as its phone is to see it. `valid_until`: Unix seconds; `cancel`: it is wished back."""

    message: bytes
    attempt: int
    sim: int | None
    number: str
    text: str
    valid_until: float
    priority: int
    cancel: bool


class Apps:
    """Writes what is particular to these phones; leases and takes are those of all phones."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def arrive(self, account: int, device: str) -> Arrived | None:
        """The phone is here, with or without a stream; None where the account has no such phone."""
        row = await self._pool.fetchrow(
            _ARRIVE, account, device, APP_PROTOCOLS, PACE_FADES_S, LEAST_SENDS, AGAIN_AFTER_S
        )
        return Arrived(*row) if row else None

    async def listed(self, account: int, device: str, fresh: Sequence[tuple[bytes, int]]) -> list[Listed]:
        """What its list holds: what it has just taken, in that order, then what is wished back or listed again."""
        rows = await self._pool.fetch(
            _LISTED,
            account,
            device,
            [message for message, _ in fresh],
            [number for _, number in fresh],
            AGAIN_AFTER_S,
            AGAIN_UNTIL_S,
            MAX_AGAIN,
            MAX_CANCELS,
        )
        return [Listed(*row) for row in rows]

    async def attach(self, account: int, device: str, gateway: str) -> int | None:
        """A new session, which ends the older ones; None where the account has no such phone."""
        session: int | None = await self._pool.fetchval(_ATTACH, account, device, APP_PROTOCOLS, gateway)
        return session

    async def update(self, account: int, device: str, software: str, sims: Sequence[Sim] | None) -> bool:
        """Keeps what the phone says it is; False where the account has no such phone."""
        told = None if sims is None else list(sims)
        return (
            await self._pool.fetchval(
                _UPDATE,
                account,
                device,
                APP_PROTOCOLS,
                software,
                told and [sim.slot for sim in told],
                told and [sim.number for sim in told],
                told and [sim.carrier for sim in told],
                *APP_LIMITS,
            )
            is not None
        )

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

    async def of_account(self, account: int) -> list[AppFacts]:
        """What the account's phones of this kind let be known, by phone."""
        return [AppFacts(**dict(row)) for row in await self._pool.fetch(_OF_ACCOUNT, account)]


def _utc(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


# A pull without a stream leaves `renewed_at` as it is: the phone may lease, and nobody counts on it to be woken.
_ARRIVE = """
with here as (
    update devices set last_seen_at = now(), closed_at = null
    where id = $2 and account_id = $1 and protocol = any($3) and deleted_at is null
    returning id, session, approved and paused_at is null as works
)
select h.session, h.works, array(select slot from sims s where s.device_id = h.id order by slot) as slots,
    case when p.succeeded * exp(-extract(epoch from now() - p.at) / $4::int) >= $5 then p.seconds / p.succeeded end,
    (
        select count(*)::int from work w
        where w.holder = h.id and w.state = 'taken' and w.taken_at > now() - make_interval(secs => $6)
    )
from here h left join paces p on p.device_id = h.id
"""

# What has been reported as sent has no row in `work`; what the phone has spoken of at all is `heard_at`. Only work of
# the journal that the phone has now: after a new registration nobody knows what it remembers.
_LISTED = f"""
with clock as (
    select now() as time
), phone as (
    select d.id, d.journal,
        case when d.approved and d.paused_at is null then {LEAST_PRIORITY} else {NOTHING_MAY_GO} end as least_priority,
        (select count(*) = 1 and bool_and(number is null and carrier is null) from sims s where s.device_id = d.id)
            as nameless_sim
    from devices d cross join clock left join accounts a on a.id = d.account_id
    where d.id = $2 and d.account_id = $1
), held as (
    select w.*, f.place, w.cancel_wished_at is not null as cancel,
        w.prio >= p.least_priority and w.taken_at < now() - make_interval(secs => $5)
            and (w.heard_at is null or w.heard_at < w.taken_at) as again
    from work w join phone p on p.id = w.holder
    join attempts a on a.message_id = w.message_id and a.number = w.attempt and a.journal = p.journal
    left join unnest($3::bytea[], $4::smallint[]) with ordinality as f (message_id, attempt, place)
        on f.message_id = w.message_id and f.attempt = w.attempt
    where w.account_id = $1 and w.state = 'taken' and w.valid_until > now()
        and w.taken_at > now() - make_interval(secs => $6)
), listed as (
    select * from held where place is not null
    union all
    (select * from held where place is null and cancel order by cancel_wished_at, tag limit $8)
    union all
    (select * from held where place is null and not cancel and again order by taken_at, tag limit $7)
)
select l.message_id, l.attempt, case when p.nameless_sim then null else l.sim end as sim, m.recipient, m.text,
    extract(epoch from m.valid_until)::float8 as valid_until, m.priority, l.cancel
from listed l cross join phone p join messages m on m.id = l.message_id
order by l.place, l.cancel desc, l.taken_at, l.tag
"""

_ATTACH = """
update devices set session = session + 1, gateway = $4, opened_at = now(), renewed_at = now(), last_seen_at = now(),
    closed_at = null
where id = $2 and account_id = $1 and protocol = any($3) and deleted_at is null
returning session
"""

_UPDATE = """
with phone as (
    update devices set software = $4, last_seen_at = now()
    where id = $2 and account_id = $1 and protocol = any($3) and deleted_at is null
    returning id
), gone as (
    delete from sims where device_id = (select id from phone) and slot <> all($5::smallint[])
), told as (
    insert into sims (device_id, slot, number, carrier)
    select p.id, s.* from phone p cross join unnest($5::smallint[], $6::text[], $7::text[]) as s (slot, number, carrier)
    on conflict (device_id, slot) do update set number = excluded.number, carrier = excluded.carrier
), budgeted as (
    insert into budgets (device_id, slot, per_minute, per_hour, per_day)
    select p.id, s.slot, $8, $9, $10 from phone p cross join unnest($5::smallint[]) as s (slot)
    on conflict do nothing
)
select id from phone
"""

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

_OF_ACCOUNT = """
select p.device_id as device, p.status, p.battery, p.failed_texts, p.signed_at is not null as signed, p.clock_off_s,
    extract(epoch from p.health_at)::float8 as health_at, extract(epoch from p.hooked_at)::float8 as hooked_at,
    extract(epoch from p.unsigned_at)::float8 as unsigned_at,
    extract(epoch from p.clock_doubted_at)::float8 as clock_doubted_at
from apps p join devices d on d.id = p.device_id
where d.account_id = $1 and d.deleted_at is null
order by 1
"""
