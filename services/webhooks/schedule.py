"""When a delivery that failed is tried again. Pure: the random number is passed in.

Two kinds of failure are told apart. An answer that is no success (or none in time) is about this event: it uses up
one of ten attempts spread over three days. A receiver that cannot be reached at all says nothing about the event:
for its first two minutes a delivery is tried again after half the time that it has been failing, without using up
an attempt, so that an outage is prolonged by half of itself at most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0

SCHEDULE_S: Final = (
    0.0,
    5.0,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
"""Seconds before each attempt, counted from the end of the one before (Standard Webhooks' own example)."""

HORIZON_S: Final = sum(SCHEDULE_S)
"""A receiver's Retry-After cannot move an attempt beyond this many seconds after the first."""

JITTER: Final = 0.2
"""A delay is up to this part shorter or longer."""

OUTAGE_PATIENCE_S: Final = 120.0
"""How long after its first try an unreachable receiver costs a delivery no attempt."""

OUTAGE_SHORTEST_S: Final = 1.0

UNREACHABLE: Final = frozenset({"dns", "connect", "reset"})
"""Classes of failure in which no answer came, because there was no connection or it broke."""


@dataclass(frozen=True)
class Retry:
    """Try again in `delay_s` seconds; `counted`: the failure used up an attempt; `last`: it was the last one."""

    delay_s: float
    counted: bool
    last: bool = False


def after_failure(
    used_up: int, failing_s: float, *, error: str, retry_after_s: float | None, random: Callable[[], float]
) -> Retry:
    """What to do after a failure of this class, when `used_up` attempts had been used up before it.

    `failing_s`: seconds since the delivery's first try. A receiver's Retry-After makes a delay longer, never shorter.
    `random` gives numbers from 0 up to 1.
    """
    if error in UNREACHABLE and failing_s < OUTAGE_PATIENCE_S:
        return Retry(_jittered(max(OUTAGE_SHORTEST_S, failing_s / 2), random), counted=False)
    used_up = min(used_up + 1, len(SCHEDULE_S))
    delay_s = _jittered(SCHEDULE_S[min(used_up, len(SCHEDULE_S) - 1)], random)
    if retry_after_s is not None:
        delay_s = max(delay_s, min(retry_after_s, HORIZON_S - failing_s))
    return Retry(delay_s, counted=True, last=used_up == len(SCHEDULE_S))


def _jittered(delay_s: float, random: Callable[[], float]) -> float:
    return delay_s * (1 - JITTER + 2 * JITTER * random())
