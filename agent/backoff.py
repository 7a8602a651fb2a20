"""Spreads the reconnects of many phones over time, so that a restarted gateway is not met by all at once."""

from collections.abc import Callable


class Backoff:
    """Full-jitter exponential back-off: each wait is uniform between 0 and a bound that doubles."""

    def __init__(self, base_s: float, cap_s: float, uniform: Callable[[float, float], float]) -> None:
        """The first bound is `base_s` seconds, the last `cap_s`; `uniform` draws between two numbers."""
        self._base_s = base_s
        self._cap_s = cap_s
        self._uniform = uniform
        self._bound_s = base_s

    def next_s(self) -> float:
        """How many seconds to wait before the next try."""
        bound, self._bound_s = self._bound_s, min(self._cap_s, self._bound_s * 2)
        return self._uniform(0, bound)

    def reset(self) -> None:
        """The last try went well; the next wait is short again."""
        self._bound_s = self._base_s
