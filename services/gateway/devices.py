"""What the edge knows of an account's devices: enough to refuse a send that no phone could ever do."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from services.gateway.errors import NoChannel, NoDevice
from services.gateway.store import Store
from shared.errors import Unavailable

log = structlog.get_logger()

REFRESH_S: Final = 1.0
"""An answer is read again when it is older than this many seconds; no account is read more often."""

USABLE_S: Final = 60.0
"""How long a "yes" is used at once while it is being read again, in seconds."""

MAX_KNOWN: Final = 100_000
MAX_READS: Final = 32
"""Reads at once; a check beyond them is skipped."""

_Key = tuple[int, str | None, str | None]


class _Known(NamedTuple):
    yes: bool
    read_at: float


class Devices:
    """Answers from memory, refreshed from Postgres; where Postgres does not answer, the check is skipped."""

    def __init__(self, store: Store, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds that only grow."""
        self._store = store
        self._monotonic = monotonic
        self._known: dict[_Key, _Known] = {}
        self._reads: dict[_Key, asyncio.Task[None]] = {}
        self._away_until = float("-inf")

    def knows(self, account: int, device: str | None) -> bool:
        """Whether it is known without a look that the account has this device (None: any)."""
        known = self._known.get((account, device, None))
        return known is not None and known.yes and self._monotonic() - known.read_at < REFRESH_S

    async def check(self, account: int, device: str | None) -> None:
        """Returns if the account has this device (None: any), or if that cannot be known now. Raises NoDevice."""
        if not await self._has((account, device, None)):
            raise NoDevice("The account has no device." if device is None else "There is no such device.")

    async def check_channel(self, account: int, device: str | None, channel: str) -> None:
        """The same for a device (None: any) that serves this channel. Raises NoDevice, NoChannel."""
        await self.check(account, device)
        if not await self._has((account, device, channel)):
            raise NoChannel

    async def _has(self, key: _Key) -> bool:
        """Whether there is such a device; yes, too, while that cannot be known."""
        known = self._known.get(key)
        age = self._monotonic() - known.read_at if known else USABLE_S
        if known and known.yes and age < REFRESH_S:
            return True
        if known is None or age >= REFRESH_S:
            read = self._read(key)
            if read and not (known and known.yes and age < USABLE_S):
                await asyncio.shield(read)
            known = self._known.get(key)
        return known is None or known.yes or self._monotonic() - known.read_at >= REFRESH_S

    def seen(self, account: int, device: str) -> None:
        """A phone of the account has just said hello here."""
        now = self._monotonic()
        self._keep((account, None, None), _Known(True, now))
        self._keep((account, device, None), _Known(True, now))

    async def close(self) -> None:
        """Ends the reads under way."""
        reads = list(self._reads.values())
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    def _read(self, key: _Key) -> asyncio.Task[None] | None:
        """The read of this key that is under way; None while Postgres is taken to be away."""
        read = self._reads.get(key)
        if read is None and self._monotonic() >= self._away_until and len(self._reads) < MAX_READS:
            read = self._reads[key] = asyncio.create_task(self._refresh(key), name="devices")
        return read

    async def _refresh(self, key: _Key) -> None:
        try:
            yes = await self._store.has_device(*key)
            self._keep(key, _Known(yes, self._monotonic()))
        except Unavailable:
            self._away_until = self._monotonic() + REFRESH_S
        except Exception as error:
            log.warning("device check failed", error=repr(error))
            self._away_until = self._monotonic() + REFRESH_S
        finally:
            del self._reads[key]

    def _keep(self, key: _Key, known: _Known) -> None:
        self._known.pop(key, None)
        while len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = known
