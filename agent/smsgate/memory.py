"""Keeps a memory that is a file off the event loop; one that is not answers at once."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from agent.errors import JournalError
from agent.smsgate.store import Store

T = TypeVar("T")


class Memory:
    """The store as the event loop sees it; operations happen in the order in which they were asked for."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path nothing outlives the object, and it has no thread. Raises JournalError."""
        self._store = Store(path)
        self._thread = None if path is None else ThreadPoolExecutor(1, thread_name_prefix="memory")
        self.facts = self._store.facts()

    async def ask(self, operation: Callable[[Store], T]) -> T:
        """What the operation gives, once it is committed. A cancelled one may have happened. Raises JournalError."""
        try:
            if self._thread is None:
                return self._store.apply(operation)
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._store.apply, operation)
        except sqlite3.Error as error:
            raise JournalError(f"The phone's memory cannot be written ({error}).") from error

    async def remember(self, **facts: str) -> None:
        """Keeps facts about the phone; they are in `facts` and in the store on return."""
        await self.ask(lambda store: store.remember(facts))
        self.facts.update(facts)

    def close(self) -> None:
        """Finishes what was asked for and closes the file."""
        if self._thread is not None:
            self._thread.shutdown()
        self._store.close()
