"""How budgets count: parts by SIM over sliding spans, in slices. Pure.

A span's use is the sum of its slices, each counted until its end has left the span. So no stretch of a span's length
ever holds more than the budget; a part comes back at most one slice late.
"""

from typing import Final, NamedTuple


class Span(NamedTuple):
    """A stretch of time that a budget is for. Seconds."""

    name: str
    seconds: int
    slice_s: int

    @property
    def places(self) -> int:
        """How many slices can count at once: the ring's size."""
        return self.seconds // self.slice_s + 1


SPANS: Final = (Span("minute", 60, 5), Span("hour", 3600, 300), Span("day", 86_400, 3600))


class Limits(NamedTuple):
    """Most parts of a SIM in any such span; None: no limit."""

    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None


APP_LIMITS: Final = Limits(per_minute=10, per_hour=30, per_day=500)
"""What a phone of the app's protocol may send until its owner says otherwise.

Stock Android asks its user before an app sends more than 30 texts within its checking period; sources give the period
as one minute and as thirty. 30 an hour is safe by both (docs/routing.md tells how to raise either side).
"""
