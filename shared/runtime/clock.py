"""Time as something that is passed in, so that tests can hold it still."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns Unix seconds UTC."""


def system_clock() -> float:
    """Now, in Unix seconds UTC, by the machine's clock."""
    return time.time()
