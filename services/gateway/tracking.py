"""Finds a message by its id, also in the moments between its acceptance and its row."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from services.gateway.store import SentRow, Store
from shared.errors import Unavailable
from shared.model.ids import MessageId, MessageIds, accepted_at_ms

WAIT_S: Final = 1.0
"""How long a row is waited for."""

STORED_WAIT_S: Final = 5.0
"""How long a row is waited for by those who cannot do without."""

FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 0.1

OLDER_THAN_ENVELOPE_S: Final = 15.0
"""An id may be this much older than the store time of the envelope that carries it."""

KNOWN_S: Final = 0.2
"""How long the age of the oldest command is taken for granted."""

OldestCommand = Callable[[], Awaitable[float | None]]
"""Returns when the oldest waiting command was stored (Unix seconds), None when none waits. Raises Unavailable."""


class Tracker:
    """Tells "not yet" from "never": an id of ours that may still be in COMMANDS is pending."""

    def __init__(self, store: Store, ids: MessageIds, oldest: OldestCommand, monotonic: Callable[[], float]) -> None:
        """`ids` recognises our own ids; `monotonic`: seconds that only grow."""
        self._store = store
        self._ids = ids
        self._oldest = oldest
        self._monotonic = monotonic
        self._oldest_at: float | None = None
        self._asked_at = float("-inf")

    async def find(self, account: int, message: MessageId) -> SentRow | bool:
        """The account's message; True: accepted and not stored yet; False: there is no such message, or no more.

        Raises Unavailable when Postgres, or the stream in doubt, does not answer.
        """
        if row := await self._store.message(account, message):
            return not row.deleted and row
        if not self._ids.is_ours(message, account):
            return False
        deadline = self._monotonic() + WAIT_S
        pause = FIRST_PAUSE_S
        while self._monotonic() + pause < deadline:
            await asyncio.sleep(pause)
            if row := await self._store.message(account, message):
                return not row.deleted and row
            pause = min(pause * 2, LONGEST_PAUSE_S)
        oldest = await self._oldest_command()
        if oldest is not None and accepted_at_ms(message) / 1000 >= oldest - OLDER_THAN_ENVELOPE_S:
            return True
        # It left the stream after its row was committed, perhaps between the two looks.
        row = await self._store.message(account, message)
        return row is not None and not row.deleted and row

    async def stored(self, account: int, message: MessageId) -> SentRow | None:
        """The account's message, waited for while it is accepted and not stored; None: there is no such message.

        Raises Unavailable when it is still not stored after 5 s, and what `find` raises.
        """
        deadline = self._monotonic() + STORED_WAIT_S
        while (found := await self.find(account, message)) is True:
            if self._monotonic() >= deadline:
                raise Unavailable("The message is accepted and not stored yet.")
        return found or None

    async def _oldest_command(self) -> float | None:
        if self._monotonic() - self._asked_at >= KNOWN_S:
            asked_at = self._monotonic()
            self._oldest_at = await self._oldest()
            self._asked_at = asked_at
        return self._oldest_at
