"""A bell between tasks of one process: many rings make one wake-up, and a wait has a longest time."""

import asyncio


class Bell:
    """Rung by those who made work, waited for by the one who does it."""

    def __init__(self) -> None:
        """Silent."""
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wakes the waiter, now or at its next wait."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Returns at the next ring, or after so many seconds; whether it rang."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
