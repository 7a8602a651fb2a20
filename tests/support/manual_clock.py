"""A phone's clock that a test turns by hand: minutes and days of waiting pass at once."""

import asyncio
import time


class ManualClock:
    """Stands still until `advance`; sleeps of no length end at once."""

    def __init__(self) -> None:
        self.utc_offset_min = 0
        self.wrong_by_ms = 0
        self.passed_s = 0.0
        self._began_ms = int(time.time() * 1000)
        self._sleepers: list[tuple[float, float, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Unix milliseconds, as the phone believes."""
        return self._began_ms + round(self.passed_s * 1000) + self.wrong_by_ms

    async def sleep(self, seconds: float) -> None:
        """Waits until the clock has been advanced as far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        sleeper = (self.passed_s + seconds, seconds, future)
        self._sleepers.append(sleeper)
        try:
            await future
        finally:
            self._sleepers.remove(sleeper)

    def sleeping(self, seconds: float) -> int:
        """How many are in a sleep of this length."""
        return sum(length == seconds and not future.done() for _, length, future in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Lets time pass; whoever is due wakes up."""
        self.passed_s += seconds
        for end, _, future in self._sleepers:
            if end <= self.passed_s and not future.done():
                future.set_result(None)
