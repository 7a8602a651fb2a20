"""Builders for tests about messages and phones: short to write, explicit where it matters."""

import time
from typing import Any

from services.dispatcher.routing import queues_of
from services.dispatcher.store.messages import Messages
from services.dispatcher.store.partitions import Partitions
from services.dispatcher.store.phones import Phones
from services.dispatcher.store.work import LeasedJob, ServedQueue, Work
from shared.contracts.commands import Recipient, SubmitSms
from shared.contracts.phone import Sim
from shared.contracts.rpc import OpenSession
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
        self.messages = Messages(pool)
        self.work = Work(pool)
        self.phones = Phones(pool)

    @classmethod
    async def on(cls, pool: Pool) -> "Stores":
        """Stores with this week's partitions."""
        await Partitions(pool).make_ahead()
        return cls(pool)

    async def lease(self, device: str, session: int, *, slot: int = 1, places: int = 10) -> list[LeasedJob] | None:
        """Leases for one SIM as a phone of the account that serves SMS."""
        keys = queues_of(ACCOUNT, device, [slot], ["sms"])
        queues = await self.messages.intern(keys)
        served = [ServedQueue(queue, key.sim) for queue, key in zip(queues, keys, strict=True)]
        return await self.work.lease(ACCOUNT, device, session, {slot: places}, served)
