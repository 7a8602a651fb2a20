"""Reads single parameters into types. Pure."""

import re
from datetime import UTC, date, datetime, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from services.gateway.dialects.smsmobile.parameters import Parameters
from shared.errors import Invalid

DEFAULT_ROWS: Final = 100
MAX_ROWS: Final = 1000
MAX_OFFSET: Final = 10**9
MAX_INSTANT: Final = 253_402_300_799
"""The last second of the year 9999."""

MAX_REFERENCE_CHARS: Final = 200

_WHOLE = re.compile(r"\s*(-?[0-9]{1,18})\s*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YES = frozenset(("1", "yes", "true"))
_NO = frozenset(("0", "no", "false"))


def whole_number(parameters: Parameters, name: str, least: int, most: int) -> int | None:
    """The parameter as a whole number from `least` to `most`, None when absent. Raises Invalid (`invalid_<name>`)."""
    text = parameters.get(name)
    if text is None:
        return None
    match = _WHOLE.fullmatch(text)
    if match and text.isascii() and least <= (value := int(match[1])) <= most:
        return value
    raise Invalid(f"{name} is a whole number from {least} to {most}.", code=f"invalid_{name}")


def flag(parameters: Parameters, name: str) -> bool | None:
    """The parameter as yes or no, None when absent. Raises Invalid (`invalid_<name>`)."""
    text = parameters.get(name)
    if text is None:
        return None
    lowered = text.strip().lower()
    if lowered in _YES or lowered in _NO:
        return lowered in _YES
    raise Invalid(f"{name} is yes or no, 1 or 0.", code=f"invalid_{name}")


def day(parameters: Parameters, name: str) -> date | None:
    """The parameter as a day, YYYY-MM-DD, None when absent. Raises Invalid (`invalid_<name>`)."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text.strip()) and text.isascii():
            return date.fromisoformat(text.strip())
    except ValueError:
        pass
    raise Invalid(f"{name} is a day, YYYY-MM-DD.", code=f"invalid_{name}")


def guid(parameters: Parameters, *names: str) -> str:
    """The first of these parameters that is there, which names a message. Raises Invalid (`missing_guid`)."""
    for name in names:
        text = parameters.get(name, "").strip()
        if text:
            return text
    raise Invalid("The message's guid is missing.", code="missing_guid")


def reference(text: str, name: str) -> str | None:
    """A name that the caller gave its request: 1 to 200 printable characters. Raises Invalid (`invalid_<name>`)."""
    stripped = text.strip()
    if not stripped:
        return None
    if len(stripped) <= MAX_REFERENCE_CHARS and stripped.isprintable():
        return stripped
    raise Invalid(f"{name} has 1 to {MAX_REFERENCE_CHARS} printable characters.", code=f"invalid_{name}")


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


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | timezone:
    """The time zone of this name; UTC where there is none of it."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # an unknown name is a KeyError's child: ZoneInfoNotFoundError
        return UTC
