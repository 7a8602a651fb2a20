"""What is in this replica's memory, kept level with the epoch, so that answers need no Postgres."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.auth.memory import Memory
from services.auth.store.state import State

log = structlog.get_logger()

POLL_S = 1.0
"""How often the table is asked for its epoch, should every broadcast have been lost."""

PATIENCE_S = 0.5
"""How long an answer waits for changes that are being read, rather than being out of date."""

RETRY_S = 0.2
"""Pause after a reading that failed."""

STALE_AFTER_S = 10.0
"""Postgres counts as away when nothing was read for this many seconds."""

Announce = Callable[[int], Awaitable[None]]


class Directory:
    """The memory and the newest epoch heard of. `follow()` must be running.

    Everything is read at the start, and when the table's epoch is behind ours because it was restored from a backup.
    Otherwise a change costs the rows that it changed.
    """

    def __init__(
        self, state: State, memory: Callable[[], Memory], announce: Announce, monotonic: Callable[[], float]
    ) -> None:
        """`memory` makes an empty one; `announce` broadcasts an epoch; `monotonic` gives seconds."""
        self._state = state
        self._new_memory = memory
        self._memory = memory()
        self._announce = announce
        self._monotonic = monotonic
        self._heard = 0
        self._behind = asyncio.Event()
        self._level = asyncio.Event()
        self._failing = False
        self._reached_at = float("-inf")
        self.rows_read = 0

    @property
    def epoch(self) -> int:
        """The epoch of what is in memory."""
        return self._memory.epoch

    @property
    def behind(self) -> int:
        """How many epochs beyond that were heard of."""
        return max(0, self._heard - self._memory.epoch)

    def read_age_s(self) -> float:
        """How long ago Postgres was last read, in seconds."""
        return self._monotonic() - self._reached_at

    @property
    def memory(self) -> Memory:
        """What is in memory, whether or not there is newer."""
        return self._memory

    async def load(self) -> None:
        """Reads everything. Raises what the store raises."""
        heard = self._heard
        changes = await self._state.everything()
        memory = self._new_memory()
        memory.apply(changes)
        self._memory = memory
        self._reached(heard, len(changes))

    async def catch_up(self) -> None:
        """Reads what has changed. Raises what the store raises."""
        heard = self._heard
        changes = await self._state.since(self._memory.epoch)
        if changes.epoch < self._memory.epoch:
            log.warning("the epoch went back", before=self._memory.epoch, now=changes.epoch)
            await self.load()
            return
        self._memory.apply(changes)
        self._reached(heard, len(changes))

    def _reached(self, heard: int, rows: int) -> None:
        """An epoch heard before the reading began is in what was read; if not, the table is right nevertheless."""
        self.rows_read += rows
        self._reached_at = self._monotonic()
        if self._heard in (heard, self._memory.epoch):
            self._heard = self._memory.epoch
            self._behind.clear()
            self._level.set()

    def hear(self, epoch: int) -> None:
        """Somebody has reached this epoch; if it is beyond ours, reading begins at once."""
        self._heard = max(self._heard, epoch)
        if self._heard > self._memory.epoch:
            self._level.clear()
            self._behind.set()

    async def changed(self, epoch: int) -> None:
        """A change of ours has committed: tells the others at once, then waits a little to have it in memory.

        Never raises: the change stands, and the epoch's repetition tells what this announcement could not.
        """
        self.hear(epoch)
        try:
            await self._announce(epoch)
        except Exception as error:
            log.warning("announcing failed", epoch=epoch, error=repr(error))
        await self.newest()

    async def repeat(self) -> None:
        """Broadcasts the epoch that this replica has reached. Raises what the connection raises."""
        await self._announce(self._memory.epoch)

    async def newest(self) -> Memory:
        """The memory; while changes are being read, waits up to half a second for them."""
        if not self._level.is_set() and not self._failing:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._level.wait()
            except TimeoutError:
                log.warning("behind", epoch=self._memory.epoch, heard=self._heard)
        return self._memory

    async def follow(self) -> None:
        """Reads whenever the memory is behind, until cancelled; while Postgres is away it tries again."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._behind.wait()
            except TimeoutError:
                pass
            try:
                if self._behind.is_set() or await self._state.epoch() != self._memory.epoch:
                    await self.catch_up()
                self._reached_at = self._monotonic()
                self._failing = False
            except Exception as error:
                if not self._failing:
                    log.warning("reading failed", error=repr(error)[:300])
                self._failing = True
                await asyncio.sleep(RETRY_S)

    def state(self) -> str:
        """Returns "ok" when Postgres was read lately, else what is wrong (a readiness check)."""
        reached = self._monotonic() - self._reached_at < STALE_AFTER_S
        return "ok" if reached else "the database does not answer"
