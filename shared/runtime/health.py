"""Readiness from outcomes: something was seen to work lately, or it was not."""

from collections.abc import Callable


class Freshness:
    """Says "ok" while the last success is young enough."""

    def __init__(self, complaint: str, seconds: float, monotonic: Callable[[], float]) -> None:
        """`complaint` is what state() says after `seconds` without a refresh()."""
        self._complaint = complaint
        self._seconds = seconds
        self._monotonic = monotonic
        self._seen = float("-inf")

    def refresh(self) -> None:
        """It worked just now."""
        self._seen = self._monotonic()

    def state(self) -> str:
        """What readiness says: "ok", or the complaint."""
        return "ok" if self._monotonic() - self._seen <= self._seconds else self._complaint
