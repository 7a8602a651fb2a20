"""When an attempt reached its phases, marked by whatever works for it, in its own task or in one that it started."""

import time
from collections.abc import Sequence
from contextvars import ContextVar


class Phases:
    """One attempt's marks: `lookup`, `found`, `dial`, `tls`, `connected`, `head`; and the address it has to do with."""

    def __init__(self) -> None:
        """From here on marks of this task are this attempt's."""
        self.address: str | None = None
        self._reached: dict[str, float] = {}
        _current.set(self)
        mark("begin")

    def reached(self, phase: str) -> bool:
        """Whether it was."""
        return phase in self._reached

    def between(self, first: str, second: str) -> int | None:
        """Milliseconds from one phase to the other, None where one was not reached."""
        if first not in self._reached or second not in self._reached:
            return None
        return round((self._reached[second] - self._reached[first]) * 1000)


_current: ContextVar[Phases | None] = ContextVar("phases", default=None)


def mark(phase: str) -> None:
    """The current attempt reaches the phase now, also if it did before: of several dials the last one counts."""
    if phases := _current.get():
        phases._reached[phase] = time.perf_counter()


def dialled(address: Sequence[object] | None) -> None:
    """The current attempt has to do with this socket address."""
    if address and (phases := _current.get()):
        phases.address = str(address[0])
