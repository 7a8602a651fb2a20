"""How times, numbers and hostile texts are written on a page. Pure."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_NARROW_SPACE: Final = "\u202f"
_MONTHS: Final = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
}
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Moment(NamedTuple):
    """A time as a page shows it: `short` in the line, `full` on a closer look, `iso` for machines (RFC 3339)."""

    short: str
    full: str
    iso: str


def zone_of(name: str) -> ZoneInfo | timezone:
    """The time zone of an IANA name, UTC for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return UTC


def moment(at: float | datetime, zone: str, now: float, language: str) -> Moment:
    """A time (Unix seconds or aware) by the account's clock: the hour if it is of the same day, else the day."""
    place = zone_of(zone)
    local = (at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)).astimezone(place)
    today = datetime.fromtimestamp(now, UTC).astimezone(place)
    clock = f"{local:%H:%M}"
    day = f"{local.day} {_MONTHS[language][local.month - 1]}"
    if local.date() == today.date():
        short = clock
    elif abs(local - today) < timedelta(days=180):
        short = f"{day}, {clock}"
    else:
        short = f"{day} {local.year}"
    return Moment(short, f"{day} {local.year}, {local:%H:%M:%S} {local.tzname()}", local.isoformat(timespec="seconds"))


def day(at: datetime, zone: str, language: str) -> str:
    """The day of a time by the account's clock."""
    local = at.astimezone(zone_of(zone))
    return f"{local.day} {_MONTHS[language][local.month - 1]} {local.year}"


def number(value: float, language: str) -> str:
    """A number with the language's thousands (a comma in English, a narrow space in French)."""
    written = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    if language == "fr":
        return written.replace(",", _NARROW_SPACE).replace(".", ",")
    return written


def span(seconds: float, language: str) -> str:
    """A length of time in its two largest units, such as "3 h 20 min"."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    units = [(days, "j" if language == "fr" else "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((place for place, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"


def visible(text: str) -> str:
    """The text with what could reorder or hide its surroundings made visible: controls and overrides of direction."""
    return _CONTROLS.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else f"[U+{code:04X}]"
