"""The numbers by which an endpoint's window grows, shrinks and closes. Pure; the store applies them in one statement.

The window says how many deliveries may be under way to an endpoint, over all workers. Each batch of results with a
success and no sign of overload makes it one wider, each with such a sign (429, 502, 504, no answer in time) halves it.
A window of 0 is an open breaker: deliveries wait without using up attempts, and one at a time goes out as a probe.
"""

from typing import Final

FIRST_WINDOW: Final = 4
LARGEST_WINDOW: Final = 32
WINDOW_AFTER_PAUSE: Final = 1
"""A slow start: what has waited may be many."""

REPLAY_SHARE: Final = 4
"""Replayed deliveries get one in so many places of a window, and at least one, where live ones leave them free."""

FAILURES_IN_A_ROW: Final = 10
FAILED_SHARE: Final = 0.9
"""Either opens the breaker: so many failures with nothing between, or this part of a minute's results."""

SHARE_OF_AT_LEAST: Final = 10
"""Results that a minute must have for its share to count."""

FIRST_PROBE_S: Final = 5.0
LONGEST_PROBE_S: Final = 600.0
"""Seconds between probes: each that fails doubles them, up to ten minutes."""

WARN_AFTER_FAILURES: Final = 3
WARN_AFTER_S: Final = 60.0
"""Its owner hears of an endpoint that has failed so often, and for so long, with nothing between; or has opened."""

DISABLE_AFTER_DAYS: Final = 5
"""An endpoint whose breaker has been open and that has failed for so long is disabled."""

OVERLOADED: Final = frozenset({429, 502, 504})
GONE: Final = 410
"""The status by which a receiver says that it never wants to hear from us again."""
