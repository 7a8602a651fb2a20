"""What makes a gateway not ready although it runs: a wrong clock."""

from collections.abc import Callable
from typing import Final

from services.gateway.store import Store
from shared.errors import Unavailable

MAX_CLOCK_OFFSET_S: Final = 10.0
"""A gateway whose clock is further off the database's would give out ids and times that cannot be stored."""


class ClockWatch:
    """Compares this machine's clock with the database's. Postgres away changes nothing."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._store = store
        self._clock = clock
        self._offset_s = 0.0

    async def compare(self) -> None:
        """Compares once, taking the middle of the question's time for the answer's."""
        before = self._clock()
        try:
            theirs = await self._store.clock()
        except Unavailable:
            return
        self._offset_s = (before + self._clock()) / 2 - theirs

    def state(self) -> str:
        """A readiness check."""
        if abs(self._offset_s) <= MAX_CLOCK_OFFSET_S:
            return "ok"
        return f"the clock is {self._offset_s:+.0f} s off the database's"
