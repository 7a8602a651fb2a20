"""The phone's time: its own clock, which may be wrong, and its waiting, which tests do without waiting."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a phone knows of time."""

    @property
    def utc_offset_min(self) -> int:
        """Minutes that the phone's local time is ahead of UTC."""

    def now_ms(self) -> int:
        """Unix milliseconds, as the phone believes."""

    async def sleep(self, seconds: float) -> None:
        """Waits, however wrong the clock is."""


class DeviceClock:
    """The machine's clock, and what the phone's one is off by."""

    def __init__(self, wrong_by_ms: int = 0, utc_offset_min: int = 0) -> None:
        """`wrong_by_ms` is added to the right time; it may be changed at any moment."""
        self.wrong_by_ms = wrong_by_ms
        self.utc_offset_min = utc_offset_min

    def now_ms(self) -> int:
        """Unix milliseconds, as the phone believes."""
        return time.time_ns() // 1_000_000 + self.wrong_by_ms

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)
