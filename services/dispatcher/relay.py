"""Carries committed events from the outbox to the EVENTS stream, each at least once and under its own id."""

from services.dispatcher.store.outbox import Outbox
from shared.bus.publisher import Publisher
from shared.contracts.envelope import encode_item
from shared.runtime.signals import Bell

POLL_S = 0.25
"""How long an event waits at most when the bell that announced it was rung in another replica."""


class Relay:
    """Publishes what the outbox holds."""

    def __init__(self, outbox: Outbox, publisher: Publisher, filled: Bell) -> None:
        """Looks when `filled` rings, and every POLL_S seconds."""
        self._outbox = outbox
        self._publisher = publisher
        self._filled = filled

    async def tick(self) -> None:
        """Waits for something to do and empties the outbox. Raises Unavailable while the stream is full or away."""
        await self._filled.wait(POLL_S)
        while await self._relay_batch():
            pass

    async def _relay_batch(self) -> bool:
        async with self._outbox.next_batch() as events:
            if events:
                await self._publisher.publish_envelope([encode_item(event) for event in events])
        return bool(events)
