"""The search's periodic job: a step at a time behind the live path, and it rests while that has something to do."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from services.dispatcher.hints import Hinter
from services.dispatcher.store.search import Search

PERIOD_S: Final = 0.5

BATCH: Final = 1000

REST: Final = 2.0
"""While messages come in, the job rests so many times as long as its last step took."""


class Searching:
    """Runs in every replica; a lock within each step lets one of them act."""

    def __init__(self, search: Search, hinter: Hinter, busy: Callable[[], bool]) -> None:
        """`busy` says whether the live path has something in hand."""
        self._search = search
        self._hinter = hinter
        self._busy = busy
        self._limit = BATCH

    async def tick(self) -> None:
        """Brings the search level with the log. What is too much for a statement's time is taken in smaller steps."""
        while True:
            began = time.monotonic()
            try:
                step = await self._search.step(self._limit)
            except Exception:
                self._limit = max(1, self._limit // 4)
                raise
            self._limit = min(BATCH, 2 * self._limit)
            # Whoever reads again now finds by the search what changed, whichever replica changed it.
            self._hinter.note("messages", step.messages)
            self._hinter.note("inbox", step.texts)
            if not step.more:
                return
            await asyncio.sleep((time.monotonic() - began) * REST if self._busy() else 0)
