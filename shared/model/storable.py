"""What can be stored: the limits that every edge checks before it accepts, so that Postgres never refuses a row."""

from typing import Final

MAX_SCHEDULE_AHEAD_S: Final = 365 * 86_400
"""A schedule further away than this many seconds is refused."""

MAX_TEXT_CHARS: Final = 20_000
MAX_BODY_BYTES: Final = 256 * 1024


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text: no U+0000, no lone surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
