"""Some of everything that the dashboard shows, as few or as many as a test likes, and one of each to look at."""

import os
import time
from typing import Any, Final, NamedTuple

from services.dispatcher.store.inbox import Inbox
from services.gateway.dashboard.frame.assets import Assets
from shared.contracts import registry
from shared.contracts.reports import TextReceived
from shared.contracts.rpc.auth import CreateKey
from shared.contracts.rpc.clients import CreateClient, CreateEnrolmentKey
from shared.contracts.rpc.people import CreateLink, CreateUser
from shared.contracts.rpc.webhooks import Filter
from shared.db.pool import Pool
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.dispatching import Stores, hello, submit_sms
from tests.support.smsgate_world import World
from tests.support.waiting import until
from tests.support.webhooks import World as Webhooks

NUMBER: Final = "+15550001111"
"""Whom every other text comes from or goes to."""

ASSET: Final = Assets("").url("app.css").removeprefix("/static/")
"""A file under its name on the wire."""

LATER_S: Final = 86_400
"""Deliveries are due then, so that nothing moves."""


class Things(NamedTuple):
    """One of each by the name that routes have for it, among as many others."""

    guid: str
    device: str
    key_id: str
    hook: str
    delivery: str
    replay: str
    key: str
    client: str
    person: str
    token: str

    def path(self, template: str) -> str:
        """The path of a route with real ids in it."""
        owners = (
            ("/dashboard/webhooks/", self.hook),
            ("/dashboard/keys/clients/", self.client),
            ("/dashboard/keys/enrolment/", self.key_id),
            ("/dashboard/keys/", self.key),
            ("/dashboard/people/", self.person),
        )
        whose = next((id for prefix, id in owners if template.startswith(prefix)), "")
        return template.format_map(self._asdict() | {"id": whose, "language": "fr", "change": "pause", "name": ASSET})


async def add(here: World, count: int, old: Things | None = None) -> Things:
    """So many more of each: of the account's things, and of what belongs to those that `old` names."""
    account, pool = here.account.account, here.pool
    guid = await _texts(pool, account, count)
    device = await _phones(pool, account, count)
    hook, delivery = await _hooks(pool, account, count, old)
    await pool.execute(_HISTORY, bytes.fromhex(old.guid if old else guid), count)
    replay = await pool.fetchval("select id from replays order by created_at limit 1")
    credentials = await _credentials(here, account, str(count))
    for statement in _MORE_CREDENTIALS:
        await pool.execute(statement, account, count - 1)

    async def is_level() -> bool:
        return not await pool.fetchval("select exists (select from unsearched)")

    await until(is_level, "the search is level")
    return old or Things(guid=guid, device=device, hook=hook, delivery=delivery, replay=replay, **credentials)


async def _texts(pool: Pool, account: int, count: int) -> str:
    """Texts to and from NUMBER and as many others; returns the id of one that was sent."""
    numbers = [f"+1555{time.time_ns() % 10**7:07}{nth:04}" for nth in range(count)]
    first = submit_sms(NUMBER, *numbers, account=account)
    more = [submit_sms(NUMBER, text=f"again {nth}", account=account) for nth in range(count)]
    await Stores(pool).messages.submit([first, *more])
    await Inbox(pool).add([_received(account, number) for number in (*numbers, *[NUMBER] * count)])
    return first.recipients[0].id.hex()


async def _phones(pool: Pool, account: int, count: int) -> str:
    """Phones with two SIMs that have budgets; returns the id of one."""
    phones = [hello(account=account) for _ in range(count)]
    for phone in phones:
        await Stores(pool).phones.open_session(phone)
    await pool.executemany(_BUDGET, [(phone.device, slot) for phone in phones for slot in (1, 2)])
    return phones[0].device


async def _hooks(pool: Pool, account: int, count: int, old: Things | None) -> tuple[str, str]:
    """Webhooks, and deliveries, attempts and replays of one; returns its id, and that of one of its deliveries."""
    hooks = Webhooks(pool, Vault(SECRET))
    # For what never happens, or each of the messages would be posted to all of them.
    made = [await hooks.endpoint(account, format="v2", filter=Filter(types=["call.missed"])) for _ in range(count)]
    hook = old.hook if old else made[0]
    await hooks.due(account, hook, count, in_s=LATER_S)
    delivery = int(old.delivery if old else (await hooks.deliveries())[0]["id"])
    await pool.execute(_ATTEMPTS, delivery, count)
    await pool.execute(_REPLAYS, account, hook, count, os.urandom(4).hex())
    return hook, str(delivery)


async def _credentials(here: World, account: int, name: str) -> dict[str, Any]:
    """What auth makes."""
    ask = here.ask.ask
    user = await ask(registry.AUTH_USER_CREATE, CreateUser(account=account, login=f"u{name}@{account}.example.org"))
    return {
        "key": (await ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name=name))).id,
        "client": (await ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name=name))).client_id,
        "key_id": (await ask(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=account))).id,
        "person": user.id,
        "token": (await ask(registry.AUTH_LINK_CREATE, CreateLink(account=account, id=user.id))).token,
    }


def _received(account: int, number: str) -> TextReceived:
    return TextReceived(
        account=account,
        device=f"{account:021}",
        sim=1,
        number=number,
        text="hello",
        at=time.time(),
        utc_offset_min=0,
        fingerprint=os.urandom(32),
    )


_BUDGET: Final = """
insert into budgets (device_id, slot, per_minute, per_hour, per_day) values ($1, $2, 10, 100, 1000)
"""

_HISTORY: Final = """
insert into history (message_id, number, at, state, attempt)
select $1, number, now(), 'queued', 0
from generate_series((select max(number) + 1 from history where message_id = $1), $2 + 10000) number limit $2
"""

_ATTEMPTS: Final = """
insert into delivery_attempts (delivery_id, number, started_at, duration_ms, status, error)
select $1, number, now(), 5, 500, 'status'
from generate_series(
    (select coalesce(max(number), 0) + 1 from delivery_attempts where delivery_id = $1), $2 + 10000
) number limit $2
"""

_MORE_CREDENTIALS: Final = (
    """
    insert into users (id, account_id, login, role)
    select 'usr_' || gen_random_uuid(), $1, gen_random_uuid() || '@example.org', 'viewer' from generate_series(1, $2)
    """,
    """
    insert into api_keys (id, account_id, name, digest, prefix, scopes)
    select 'key_' || gen_random_uuid(), $1, 'shop', uuid_send(gen_random_uuid()), '012345', '{sms:send}'
    from generate_series(1, $2)
    """,
    """
    insert into clients (id, account_id, name, digest, scopes)
    select replace(gen_random_uuid()::text, '-', ''), $1, 'shop', uuid_send(gen_random_uuid()), '{sms:send}'
    from generate_series(1, $2)
    """,
    """
    insert into enrolment_keys (id, account_id, digest, single_use, approves)
    select 'enr_' || gen_random_uuid(), $1, uuid_send(gen_random_uuid()), true, true from generate_series(1, $2)
    """,
    """
    insert into audit (account_id, who, address, verb, subject)
    select $1, 'operator', 'local', 'key.create', 'key_' || nth from generate_series(1, $2) nth
    """,
)

_REPLAYS: Final = """
insert into replays (id, account_id, endpoint_id, state, until, states, matched, ended_at)
select 'rp_' || $4 || nth, $1, $2, 'done', now(), '{exhausted}', 1, now() from generate_series(1, $3) nth
"""
