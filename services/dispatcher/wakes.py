"""Tells phones that there is work: a hint over core NATS, at most two phones a message; a sweep finds the rest."""

import itertools
from collections.abc import Sequence

from nats.aio.client import Client

from services.dispatcher.routing import OnlinePhone, phones_to_wake
from services.dispatcher.store.messages import Messages, ReadyCount
from services.dispatcher.store.phones import Phones
from shared.contracts.registry import wake_subject


class Wakes:
    """Knows which phones are online and wakes those that suit."""

    def __init__(self, client: Client, phones: Phones, messages: Messages) -> None:
        """Knows no phone before the first refresh()."""
        self._client = client
        self._phones = phones
        self._messages = messages
        self._online: list[OnlinePhone] = []
        self._turns = itertools.count()

    async def refresh(self) -> None:
        """Reads again which phones are online (every second, and when one says hello here)."""
        self._online = await self._phones.online()

    async def wake_for(self, ready: Sequence[ReadyCount]) -> None:
        """Wakes phones for what became ready. A lost wake costs a second, never a message."""
        if not ready or not self._online:
            return
        keys = await self._messages.keys_of(count.queue for count in ready)
        counts = [(keys[count.queue], count.messages) for count in ready if count.queue in keys]
        for device in phones_to_wake(self._online, counts, next(self._turns)):
            await self._client.publish(wake_subject(device))
