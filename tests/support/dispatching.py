"""Builders for tests about messages and phones: short to write, explicit where it matters."""

import time
from typing import Any

from services.dispatcher.routing import queues_of
from services.dispatcher.store.leases import Asked, LeasedJob, Leases, ServedQueue
from services.dispatcher.store.messages import Messages
from services.dispatcher.store.partitions import Partitions
from services.dispatcher.store.phones import Phones
from services.dispatcher.store.queues import Queues
from services.dispatcher.store.roster import Roster
from services.dispatcher.store.work import Work
from shared.contracts.commands import Recipient, SubmitSms
from shared.contracts.phone import Outcome, Sim
from shared.contracts.reports import AttemptReported
from shared.contracts.rpc.phones import OpenSession
from shared.db.pool import Pool
from shared.model.ids import MessageIds, new_device_id
from shared.model.texts import segments

IDS = MessageIds(b"k" * 32)
ACCOUNT = 7


def submit_sms(*numbers: str, text: str = "hello", account: int = ACCOUNT, **changes: Any) -> SubmitSms:
    """A command for these recipients, accepted now and valid for three days."""
    now = time.time()
    ids = IDS.new(account, int(now * 1000), len(numbers))
    command: dict[str, Any] = {
        "account": account,
        "submitter": "key_a",
        "recipients": [Recipient(id, number) for id, number in zip(ids, numbers, strict=True)],
        "text": text,
        "encoding": segments(text).encoding,
        "parts": segments(text).parts,
        "accepted_at": now,
        "scheduled_at": now,
        "valid_until": now + 259_200,
    }
    return SubmitSms(**(command | changes))


def hello(device: str | None = None, **changes: Any) -> OpenSession:
    """A phone with two SIMs that says hello."""
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "device": device or new_device_id(),
        "gateway": "gateway-1",
        "journal": "journal-1",
        "name": "phone",
        "sims": [Sim(slot=1), Sim(slot=2)],
        "channels": ["sms"],
        "software": "test",
        "protocol": "socket",
        "approved": True,
    }
    return OpenSession(**(fields | changes))


class Stores:
    """The dispatcher's stores on one database, with its partitions made."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.queues = Queues(pool)
        self.messages = Messages(pool, self.queues)
        self.work = Work(pool)
        self.leases = Leases(pool)
        self.phones = Phones(pool)
        self.roster = Roster(pool)

    @classmethod
    async def on(cls, pool: Pool) -> "Stores":
        """Stores with this week's partitions."""
        await Partitions(pool).make_ahead()
        return cls(pool)

    async def lease(self, device: str, session: int, *, slot: int = 1, places: int = 10) -> list[LeasedJob] | None:
        """Leases for one SIM as a phone of the account that serves SMS."""
        keys = queues_of(ACCOUNT, device, [slot], ["sms"])
        queues = await self.queues.intern(keys)
        served = [ServedQueue(queue, key.sim) for queue, key in zip(queues, keys, strict=True)]
        return await self.leases.lease(ACCOUNT, device, session, {slot: places}, served)


def reported(
    message: bytes, state: Outcome, device: str, *, at: float | None = None, number: int = 1
) -> AttemptReported:
    """What a phone says of an attempt."""
    return AttemptReported(
        account=ACCOUNT, device=device, message=message, number=number, state=state, at=at or time.time()
    )


async def opened(stores: Stores, **changes: Any) -> tuple[str, int]:
    """A phone that has just said hello: its device id and session."""
    greeting = hello(**changes)
    session = await stores.phones.open_session(greeting)
    assert session is not None
    return greeting.device, session.session


async def taken_one(stores: Stores) -> tuple[str, int, bytes]:
    """A new phone that has taken a new message: its device id, its session, the message's id."""
    await stores.messages.submit([submit_sms("+1")])
    device, session = await opened(stores)
    leased = await stores.lease(device, session)
    assert leased
    message = leased[0].message
    await stores.leases.take([Asked(message, 1, device, session, ACCOUNT)])
    return device, session, message


async def message_row(pool: Pool, message: bytes) -> tuple[str, str | None]:
    """State and reason of a message's row."""
    row = await pool.fetchrow("select state, reason from messages where id = $1", message)
    assert row is not None
    return row["state"], row["reason"]
