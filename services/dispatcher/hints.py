"""Hints to open pages that something of an account changed: gathered, told a few times a second, forgotten."""

import itertools
from collections.abc import Iterable
from typing import Final

import msgspec
from nats.aio.client import Client

from shared.contracts.live import Hints, Kind
from shared.contracts.registry import live_subject

PERIOD_S: Final = 0.25
"""An account is told of no more than once in so many seconds."""

MAX_ACCOUNTS: Final = 10_000
"""More accounts than these do not wait; their pages have a slow clock of their own."""

AT_ONCE: Final = 500
"""No more accounts than these are told of in one go, so that the loop is soon free again."""


class Hinter:
    """What changed since the last telling."""

    def __init__(self, client: Client) -> None:
        """Tells by this client."""
        self._client = client
        self._changed: dict[int, set[Kind]] = {}

    def note(self, kind: Kind, accounts: Iterable[int]) -> None:
        """Things of this kind of these accounts have changed. Costs its caller nothing, and never fails."""
        for account in accounts:
            if account in self._changed:
                self._changed[account].add(kind)
            elif len(self._changed) < MAX_ACCOUNTS:
                self._changed[account] = {kind}

    async def tell(self) -> None:
        """Tells what was noted, the oldest first, one message an account. What NATS does not take is lost."""
        for account in list(itertools.islice(self._changed, AT_ONCE)):
            hints = Hints(sorted(self._changed.pop(account)))
            await self._client.publish(live_subject(account), msgspec.msgpack.encode(hints))
