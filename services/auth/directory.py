"""The credentials in this replica's memory, kept level with the epoch, so that verdicts need no Postgres."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.auth.keys import Snapshot
from services.auth.store import Store

log = structlog.get_logger()

POLL_S = 1.0
"""How often the table is asked for its epoch, should every broadcast have been lost."""

PATIENCE_S = 0.5
"""How long an answer waits for a reload that is under way, rather than being out of date."""

RETRY_S = 0.2
"""Pause after a reload that failed."""

STALE_AFTER_S = 10.0
"""Postgres counts as away when nothing was read for this many seconds."""

Announce = Callable[[int], Awaitable[None]]


class Directory:
    """The newest snapshot and the newest epoch heard of. `follow()` must be running."""

    def __init__(self, store: Store, announce: Announce, monotonic: Callable[[], float]) -> None:
        """`announce` broadcasts an epoch; `monotonic` gives seconds."""
        self._store = store
        self._announce = announce
        self._monotonic = monotonic
        self._snapshot = Snapshot()
        self._heard = 0
        self._behind = asyncio.Event()
        self._level = asyncio.Event()
        self._failing = False
        self._reached_at = float("-inf")

    @property
    def epoch(self) -> int:
        """The epoch of the snapshot in memory."""
        return self._snapshot.epoch

    async def load(self) -> None:
        """Reads everything. Raises what the store raises.

        An epoch heard before the read began is in what was read. If the table is behind it nevertheless, then it
        was restored from a backup, and it is right.
        """
        heard = self._heard
        self._snapshot = await self._store.active_credentials()
        self._reached_at = self._monotonic()
        if self._heard in (heard, self._snapshot.epoch):
            self._heard = self._snapshot.epoch
            self._behind.clear()
            self._level.set()

    def hear(self, epoch: int) -> None:
        """Somebody has reached this epoch; if it is beyond ours, a reload begins at once."""
        self._heard = max(self._heard, epoch)
        if self._heard > self._snapshot.epoch:
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
        await self._announce(self._snapshot.epoch)

    async def newest(self) -> Snapshot:
        """The snapshot in memory; while a reload is under way, waits up to half a second for it."""
        if not self._level.is_set() and not self._failing:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._level.wait()
            except TimeoutError:
                log.warning("behind", epoch=self._snapshot.epoch, heard=self._heard)
        return self._snapshot

    async def follow(self) -> None:
        """Reloads whenever the memory is behind, until cancelled; while Postgres is away it tries again."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._behind.wait()
            except TimeoutError:
                pass
            try:
                if self._behind.is_set() or await self._store.epoch() != self._snapshot.epoch:
                    await self.load()
                self._reached_at = self._monotonic()
                self._failing = False
            except Exception as error:
                if not self._failing:
                    log.warning("reload failed", error=repr(error)[:300])
                self._failing = True
                await asyncio.sleep(RETRY_S)

    def state(self) -> str:
        """Returns "ok" when Postgres was read lately, else what is wrong (a readiness check)."""
        reached = self._monotonic() - self._reached_at < STALE_AFTER_S
        return "ok" if reached else "the database does not answer"
