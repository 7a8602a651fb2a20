"""A customer who wants to hear of each text that was sent, and counts what arrives."""

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from tests.support.receiver import Receiver
from tests.support.system import System
from tests.support.waiting import until


class SentHooks:
    """The webhooks of `sms.sent` that arrived, by message."""

    def __init__(self, receiver: Receiver) -> None:
        """`listening` makes it."""
        self._receiver = receiver

    @property
    def arrived(self) -> Counter[str]:
        """How often each message's webhook arrived."""
        told = (json.loads(each.body) for each in self._receiver.deliveries)
        return Counter(each["data"]["guid"] for each in told if each["type"] == "sms.sent")

    async def all_arrived(self, guids: Iterable[str], within_s: float) -> None:
        """Waits until each of these has arrived at least once."""
        wanted = set(guids)

        async def arrived() -> bool:
            return wanted <= set(self.arrived)

        try:
            await until(arrived, "every webhook arrived", within_s)
        except AssertionError as problem:
            problem.add_note(f"missing: {sorted(wanted - set(self.arrived))[:5]}")
            raise


@contextlib.asynccontextmanager
async def listening(system: System) -> AsyncIterator[SentHooks]:
    """A receiver with an endpoint of the first account for the context's time."""
    async with Receiver.running() as receiver:
        await system.cli("webhook", "create", receiver.url, "--format", "v2")
        yield SentHooks(receiver)
