"""Reads single parameters into types. Pure."""

import re
from datetime import UTC, datetime
from typing import Final

from services.gateway.dialects.smsmobile.parameters import Parameters
from shared.errors import Invalid

DEFAULT_ROWS: Final = 100
MAX_ROWS: Final = 1000
MAX_OFFSET: Final = 10**9
MAX_INSTANT: Final = 253_402_300_799
"""The last second of the year 9999."""

_WHOLE = re.compile(r"\s*(-?[0-9]{1,18})\s*")


def whole_number(parameters: Parameters, name: str, least: int, most: int) -> int | None:
    """The parameter as a whole number from `least` to `most`, None when absent. Raises Invalid (`invalid_<name>`)."""
    text = parameters.get(name)
    if text is None:
        return None
    match = _WHOLE.fullmatch(text)
    if match and text.isascii() and least <= (value := int(match[1])) <= most:
        return value
    raise Invalid(f"{name} is a whole number from {least} to {most}.", code=f"invalid_{name}")


def page(parameters: Parameters) -> tuple[int, int]:
    """`limit` (1 to 1,000, default 100) and `offset`. Raises Invalid."""
    limit = whole_number(parameters, "limit", 1, MAX_ROWS) or DEFAULT_ROWS
    return limit, whole_number(parameters, "offset", 0, MAX_OFFSET) or 0


def instant(parameters: Parameters, *names: str) -> datetime | None:
    """The first of these parameters that is there, Unix seconds, as a time. Raises Invalid (`invalid_<name>`)."""
    for name in names:
        seconds = whole_number(parameters, name, 0, MAX_INSTANT)
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
    return None
