"""Turns events into deliveries: one for each endpoint that wants the event, and each of them once."""

from collections.abc import Callable, Sequence

import structlog

from services.webhooks.formats import classic
from services.webhooks.store import NewDelivery, Store
from shared.bus.consumer import BatchConsumer
from shared.contracts.events import Event
from shared.contracts.registry import WEBHOOKS_EVENTS

log = structlog.get_logger()

CLASSIC_TYPE = "sms.received"
"""The only event that the classic format can tell."""


class FanOut:
    """Stores batches of events as deliveries."""

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        """`wake` tells the deliverer that something is due."""
        self._store = store
        self._wake = wake

    async def store(self, events: Sequence[Event]) -> None:
        """Keeps these events and makes their deliveries. An inbox text that is gone has nothing to deliver."""
        if events:
            await self._store.keep(events)
        wanted = [(event, event.inbox) for event in events if event.type == CLASSIC_TYPE and event.inbox]
        if not wanted:
            return
        texts = await self._store.received_sms([inbox for _, inbox in wanted])
        deliveries = [
            NewDelivery(event.id, event.account, event.type, "classic", classic(texts[inbox]))
            for event, inbox in wanted
            if inbox in texts
        ]
        if deliveries and await self._store.fan_out(deliveries):
            self._wake()

    async def bury(self, item: Event | bytes, reason: str) -> None:
        """Says that an event will never be delivered: our own relay made it, so this is a fault of ours."""
        which = item.id if isinstance(item, Event) else f"{len(item)} bytes"
        log.error("event rejected", item=which, reason=reason[:300])


def consumer(fan_out: FanOut, is_item_error: Callable[[Exception], bool]) -> BatchConsumer[Event]:
    """The consumer of EVENTS."""
    return BatchConsumer(WEBHOOKS_EVENTS, Event, store=fan_out.store, bury=fan_out.bury, is_item_error=is_item_error)
