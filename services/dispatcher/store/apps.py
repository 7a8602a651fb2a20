"""Phones of the app's protocol: what they are, their pulls, and the sessions of their streams."""

from collections.abc import Sequence
from typing import NamedTuple

from services.dispatcher.budgets import APP_LIMITS
from services.dispatcher.store.accounts import LEAST_PRIORITY, NOTHING_MAY_GO
from services.dispatcher.store.phones import APP_PROTOCOLS
from services.dispatcher.store.roster import LEAST_SENDS, PACE_FADES_S
from shared.contracts.phone import Sim
from shared.db.pool import Pool

AGAIN_AFTER_S = 300
"""A taken message without any report is listed again after this many seconds: its list may not have arrived.

At once where it was taken before the phone opened its stream: the app gives up a call for its list when it opens one.
"""

AGAIN_UNTIL_S = 86_400
"""And no longer than this after its taking, far below the time for which the app is told to remember ids."""

MAX_AGAIN = 10
MAX_AT_ONCE = 50
MAX_CANCELS = 50
"""Most taken messages in one list that are listed again after their time, at once, and that are asked back."""


class Wished(NamedTuple):
    """An attempt that its phone is to leave, if it still can."""

    device: str
    message: bytes
    attempt: int


class Arrived(NamedTuple):
    """A phone that asks for work: its session, whether it may work, its SIM slots and how fast it is.

    `seconds_each`: from taking to word of the sending, None: not known. `held`: what it took lately and has not sent.
    `pause_s`: how long it rests on average between two sends.
    """

    session: int
    works: bool
    slots: Sequence[int]
    seconds_each: float | None
    held: int
    pause_s: float


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

    async def lose(self, account: int, device: str, attempts: Sequence[tuple[bytes, int]]) -> None:
        """These were taken and surely have not arrived: as if the phone had opened a stream since."""
        messages, numbers = [message for message, _ in attempts], [number for _, number in attempts]
        await self._pool.execute(_LOSE, account, device, messages, numbers)

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
            MAX_AT_ONCE,
        )
        return [Listed(*row) for row in rows]

    async def attach(self, account: int, device: str, gateway: str) -> int | None:
        """A new session, which ends the older ones; None where the account has no such phone."""
        session: int | None = await self._pool.fetchval(_ATTACH, account, device, APP_PROTOCOLS, gateway)
        return session

    async def wish_back(self, campaign: str, limit: int) -> list[Wished]:
        """Notes that what these phones have taken of a campaign is no longer wanted; those of which it was not yet."""
        return [Wished(*row) for row in await self._pool.fetch(_WISH_BACK, campaign, limit, APP_PROTOCOLS)]

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
    ),
    (select coalesce(max(delay_min_ms + delay_max_ms), 0) / 2000.0::float8 from budgets b where b.device_id = h.id)
from here h left join paces p on p.device_id = h.id
"""

# What has been reported as sent has no row in `work`; what the phone has spoken of at all is `heard_at`. Only work of
# the journal that the phone has now: after a new registration nobody knows what it remembers.
_LISTED = f"""
with clock as (
    select now() as time
), phone as (
    select d.id, d.journal, d.session,
        case when d.approved and d.paused_at is null then {LEAST_PRIORITY} else {NOTHING_MAY_GO} end as least_priority,
        (select count(*) = 1 and bool_and(number is null and carrier is null) from sims s where s.device_id = d.id)
            as nameless_sim
    from devices d cross join clock left join accounts a on a.id = d.account_id
    where d.id = $2 and d.account_id = $1
), held as (
    select w.*, f.place, w.cancel_wished_at is not null as cancel,
        w.prio >= p.least_priority and (w.heard_at is null or w.heard_at < w.taken_at) as unheard,
        w.session <> p.session as at_once
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
    (select * from held where place is null and not cancel and unheard and at_once order by taken_at, tag limit $9)
    union all
    (
        select * from held
        where place is null and not cancel and unheard and not at_once and taken_at < now() - make_interval(secs => $5)
        order by taken_at, tag limit $7
    )
), repeated as (
    select w.message_id from work w join listed l using (message_id) where l.at_once order by message_id for update of w
), noted as (
    update work w set session = p.session from repeated r cross join phone p
    where w.message_id = r.message_id and w.state = 'taken'
)
select l.message_id, l.attempt, case when p.nameless_sim then null else l.sim end as sim, m.recipient, m.text,
    extract(epoch from m.valid_until)::float8 as valid_until, m.priority, l.cancel
from listed l cross join phone p join messages m on m.id = l.message_id
order by l.place, l.cancel desc, l.taken_at, l.tag
"""

_LOSE = """
with mine as (
    select w.message_id from work w
    join unnest($3::bytea[], $4::smallint[]) as l (message_id, attempt) using (message_id, attempt)
    where w.holder = $2 and w.account_id = $1 and w.state = 'taken' order by w.message_id for update of w
)
update work w set session = -1 from mine m where w.message_id = m.message_id
"""

_ATTACH = """
update devices set session = session + 1, gateway = $4, opened_at = now(), renewed_at = now(), last_seen_at = now(),
    closed_at = null
where id = $2 and account_id = $1 and protocol = any($3) and deleted_at is null
returning session
"""

_WISH_BACK = """
with found as (
    select w.message_id from campaign_rows r join work w using (message_id) join devices d on d.id = w.holder
    where r.campaign_id = $1 and r.state = 'fed' and w.state = 'taken' and w.cancel_wished_at is null
        and d.protocol = any($3)
        and (select state from attempts a where a.message_id = w.message_id and a.number = w.attempt) = 'taken'
    order by w.message_id limit $2 for update of w
)
update work w set cancel_wished_at = now() from found f where w.message_id = f.message_id
returning w.holder, w.message_id, w.attempt
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
