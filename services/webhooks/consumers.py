"""Turns events into deliveries: one for each endpoint that wants the event, and each of them once."""

from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from services.webhooks.fanout import deliveries_of
from services.webhooks.store.events import Events
from shared.bus.consumer import BatchConsumer
from shared.contracts.events import Event
from shared.contracts.registry import WEBHOOKS_EVENTS

log = structlog.get_logger()

OWN_EVENTS = 200
"""Events about endpoints that are told at once."""


class FanOut:
    """Stores batches of events as deliveries."""

    def __init__(self, events: Events, wake: Callable[[], None]) -> None:
        """`wake` tells the deliverer that something is due."""
        self._events = events
        self._wake = wake

    async def store(self, events: Sequence[Event]) -> None:
        """Keeps these events and makes their deliveries. A received text that is gone has nothing to deliver."""
        if not events:
            return
        await self._events.keep(events)
        subscribers = await self._events.subscribers(list({event.account for event in events}))
        if not subscribers:
            return
        listening = {subscriber.account for subscriber in subscribers}
        told = await self._events.told([UUID(event.id) for event in events if event.account in listening])
        deliveries = deliveries_of(told, subscribers)
        if deliveries and await self._events.fan_out(deliveries):
            self._wake()

    async def tell_own(self) -> None:
        """Does the same with the events that webhooks itself has to tell, and forgets that it has to."""
        if own := await self._events.own(OWN_EVENTS):
            await self.store(list(own.values()))
            await self._events.own_done(list(own))

    async def bury(self, item: Event | bytes, reason: str) -> None:
        """Says that an event will never be delivered: our own relay made it, so this is a fault of ours."""
        which = item.id if isinstance(item, Event) else f"{len(item)} bytes"
        log.error("event rejected", item=which, reason=reason[:300])


def consumer(fan_out: FanOut, is_item_error: Callable[[Exception], bool]) -> BatchConsumer[Event]:
    """The consumer of EVENTS."""
    return BatchConsumer(WEBHOOKS_EVENTS, Event, store=fan_out.store, bury=fan_out.bury, is_item_error=is_item_error)
