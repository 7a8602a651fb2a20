"""Makes the deliveries of running replays, a bounded step at a time, so that live traffic hardly notices."""

from collections.abc import Callable

from services.webhooks.fanout import delivery_of
from services.webhooks.store.events import Events, NewDelivery
from services.webhooks.store.replays import Replays, Step

STEP = 500
"""Events of one step."""


class Replaying:
    """Every replica may make a step; the first one that has made it counts."""

    def __init__(self, replays: Replays, events: Events, wake: Callable[[], None]) -> None:
        """`wake` tells the deliverer that something is due."""
        self._replays = replays
        self._events = events
        self._wake = wake

    async def tick(self) -> None:
        """Makes steps until no replay is running."""
        while (step := await self._replays.next(STEP)) and await self._replays.advance(step, await self._made(step)):
            self._wake()

    async def _made(self, step: Step) -> list[NewDelivery]:
        """The missing events' deliveries, without those that can no longer be told."""
        if not step.missing:
            return []
        subscribers = {each.id: each for each in await self._events.subscribers([step.account])}
        if (subscriber := subscribers.get(step.endpoint)) is None:
            return []
        told = await self._events.told(step.missing)
        return [made for each in told if (made := delivery_of(each, subscriber))]
