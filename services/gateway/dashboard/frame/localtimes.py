"""Reads what a person types as a time of the account's clock, also where that clock jumps. Pure."""

from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from services.gateway.dashboard.frame.formats import zone_of
from shared.errors import Invalid

Jump = Literal["", "gap", "twice"]

LONGEST: Final = len("2026-03-29T02:30:00.000")


class Typed(NamedTuple):
    """The instant that was meant (aware, UTC). `jump`: the clock skips what was typed, or shows it twice that day."""

    at: datetime
    jump: Jump


def read(text: str, zone: str) -> Typed:
    """A time as `<input type=datetime-local>` sends it (HTML, 2.3.5.5), by the clock of this zone.

    What the clock skips is as long after the jump as it would have been; of two such times it is the first.
    Raises Invalid (`invalid_time`).
    """
    place = zone_of(zone)
    try:
        if len(text) > LONGEST:
            raise ValueError
        naive = datetime.fromisoformat(text)
        if naive.tzinfo is not None:
            raise ValueError
        first, second = (naive.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError) as error:
        raise Invalid("That is no date and time.", code="invalid_time") from error
    if first == second:
        return Typed(first, "")
    skipped = first.astimezone(place).replace(tzinfo=None) != naive
    return Typed(first, "gap" if skipped else "twice")


def written(at: datetime, zone: str) -> str:
    """The instant as `<input type=datetime-local>` takes it, to the minute."""
    return f"{at.astimezone(zone_of(zone)).replace(tzinfo=None):%Y-%m-%dT%H:%M}"
