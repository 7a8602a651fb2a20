"""Tells phones that there is work: a hint over core NATS, at most two phones a message; a sweep finds the rest."""

import itertools
from collections.abc import Sequence

from nats.aio.client import Client

from services.dispatcher.fleet import Fleet
from services.dispatcher.routing import phones_to_wake
from services.dispatcher.store.queues import Queues, ReadyCount
from shared.contracts.registry import ask_back_subject, settings_subject, wake_subject


class Wakes:
    """Wakes those phones of the fleet that suit."""

    def __init__(self, client: Client, fleet: Fleet, queues: Queues) -> None:
        """Publishes by this client."""
        self._client = client
        self._fleet = fleet
        self._queues = queues
        self._turns = itertools.count()

    async def ask_back(self, device: str, attempt: str) -> None:
        """Tells an app phone that an attempt it has taken is no longer wanted; its report says what came of it."""
        await self._client.publish(ask_back_subject(device), attempt.encode())

    async def tell_settings(self, device: str) -> None:
        """Tells an app phone that its settings have changed; others have them with each job."""
        await self._client.publish(settings_subject(device))

    async def wake_for(self, ready: Sequence[ReadyCount]) -> None:
        """Wakes phones for what became ready. A lost wake costs a second, never a message."""
        if not ready or not self._fleet.online:
            return
        keys = await self._queues.keys_of(count.queue for count in ready)
        counts = [(keys[count.queue], count.messages) for count in ready if count.queue in keys]
        for device in phones_to_wake(self._fleet.online, counts, next(self._turns)):
            await self._client.publish(wake_subject(device))
