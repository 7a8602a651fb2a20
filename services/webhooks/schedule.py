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
"""Seconds before each attempt, counted from the end of the one before."""

JITTER: Final = 0.2
"""A delay is up to this part shorter or longer."""

OUTAGE_PATIENCE_S: Final = 120.0
"""How long after its first try an unreachable receiver costs a delivery no attempt."""

OUTAGE_SHORTEST_S: Final = 1.0


@dataclass(frozen=True)
class Retry:
    """Try again in `delay_s` seconds; `counted` says whether the failure used up an attempt."""

    delay_s: float
    counted: bool


def after_failure(attempts: int, failing_s: float, *, unreachable: bool, random: Callable[[], float]) -> Retry | None:
    """What to do after the attempt that was number `attempts` of those that count; None: nothing more.

    `failing_s`: seconds since the delivery's first try. `random` gives numbers from 0 up to 1.
    """
    if unreachable and failing_s < OUTAGE_PATIENCE_S:
        return Retry(_jittered(max(OUTAGE_SHORTEST_S, failing_s / 2), random), counted=False)
    if attempts >= len(SCHEDULE_S):
        return None
    return Retry(_jittered(SCHEDULE_S[attempts], random), counted=True)


def _jittered(delay_s: float, random: Callable[[], float]) -> float:
    return delay_s * (1 - JITTER + 2 * JITTER * random())
