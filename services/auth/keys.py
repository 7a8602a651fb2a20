"""The rules for what is created: names, scopes, limits, lifetimes and ids. Pure."""

import datetime as dt
import secrets
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Final

from shared.contracts.rpc.people import Role
from shared.errors import Invalid
from shared.model.storable import is_storable

SCOPES: Final = (
    "sms:send",
    "sms:read",
    "sms:delete",
    "devices:read",
    "devices:manage",
    "webhooks:manage",
    "account:manage",
)
"""Everything that an API key or a client can be allowed to do."""

SCOPES_OF_ROLE: Final[Mapping[Role, tuple[str, ...]]] = {
    "viewer": ("sms:read", "devices:read"),
    "member": tuple(scope for scope in SCOPES if scope != "account:manage"),
    "owner": SCOPES,
}
"""What a user may do."""

MAX_NAME_CHARS: Final = 64
MAX_LIMIT: Final = 1_000_000

MIN_LIFE_S: Final = 60
MAX_LIFE_S: Final = 10 * 365 * 86_400
MAX_OVERLAP_S: Final = 30 * 86_400
"""How long two secrets of one key or client may be valid at most, in seconds."""

PREFIX_CHARS: Final = 6
"""How much of an API key is kept in the clear, so that its owner can tell it from the others."""

_ID_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def new_id(prefix: str) -> str:
    """A short public id such as `key_` and 12 letters or digits (71 random bits)."""
    return f"{prefix}_{''.join(secrets.choice(_ID_ALPHABET) for _ in range(12))}"


def checked_name(name: str) -> str:
    """The name without surrounding blanks, 1 to 64 printable characters. Raises Invalid (`invalid_name`)."""
    stripped = name.strip()
    if not 1 <= len(stripped) <= MAX_NAME_CHARS or not stripped.isprintable() or not is_storable(stripped):
        raise Invalid(f"A name has 1 to {MAX_NAME_CHARS} printable characters.", code="invalid_name")
    return stripped


def checked_scopes(scopes: Sequence[str]) -> list[str]:
    """The scopes to store: all of them for an empty list, each once. Raises Invalid (`invalid_scope`)."""
    for scope in scopes:
        if scope not in SCOPES:
            known = ", ".join(SCOPES)
            raise Invalid(f"There is no scope {scope[:40]!r}; there are {known}.", code="invalid_scope")
    return [scope for scope in SCOPES if not scopes or scope in scopes]


def checked_time_zone(name: str) -> str:
    """The IANA time zone's name. Raises Invalid (`invalid_time_zone`)."""
    if name == "UTC":
        return name
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"There is no time zone {name[:40]!r}.", code="invalid_time_zone") from error
    return name


def checked_region(code: str) -> str:
    """The two capital letters of an ISO 3166 region, or "". Raises Invalid (`invalid_region`)."""
    if code and not (len(code) == 2 and code.isascii() and code.isalpha()):
        raise Invalid("A region is two letters, such as FR.", code="invalid_region")
    return code.upper()


def quiet_ends(hours: str) -> tuple[dt.time | None, dt.time | None]:
    """Both ends of quiet hours such as `22:00-07:00`; None for none. Raises ValueError."""
    if not hours:
        return None, None
    begin, end = (dt.datetime.strptime(part.strip(), "%H:%M").time() for part in hours.split("-"))  # noqa: DTZ007
    return begin, end


def checked_quiet(hours: str) -> str:
    """The quiet hours, "" for none. Raises Invalid (`invalid_quiet`)."""
    try:
        quiet_ends(hours.strip())
    except ValueError as error:
        raise Invalid("Quiet hours are two times of day, such as 22:00-07:00.", code="invalid_quiet") from error
    return hours.strip()


def checked_limit(limit: int) -> int:
    """The limit, 0 for none. Raises Invalid (`invalid_limit`)."""
    if not 0 <= limit <= MAX_LIMIT:
        raise Invalid(f"A limit is a number from 0 (none) to {MAX_LIMIT}.", code="invalid_limit")
    return limit


def checked_life(seconds: int | None) -> int | None:
    """How long something lives, in seconds; None for ever. Raises Invalid (`invalid_life`)."""
    if seconds is not None and not MIN_LIFE_S <= seconds <= MAX_LIFE_S:
        raise Invalid("What expires lives for a minute at least and for ten years at most.", code="invalid_life")
    return seconds


def checked_overlap(seconds: int) -> int:
    """How long the secret before a rotation stays valid, in seconds. Raises Invalid (`invalid_overlap`)."""
    if not 0 <= seconds <= MAX_OVERLAP_S:
        raise Invalid("After a rotation the old secret is valid for 30 days at most.", code="invalid_overlap")
    return seconds
