"""An account's settings as a form shows and takes them. Pure, but for the machine's list of time zones."""

import functools
import re
import zoneinfo
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from services.gateway.dashboard.door.forms import Form, is_count
from shared.contracts.rpc.auth import Account

MAX_LIMIT: Final = 1_000_000
LIMITS: Final = ("max_parts", "rate_per_minute", "daily_sends")

FIELD_OF: Final = {"invalid_time_zone": "time_zone", "invalid_region": "region", "invalid_quiet": "quiet"}
"""The field that a code of auth's is about."""

_TIME: Final = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")


class Typed(NamedTuple):
    """The settings as text; `quiet_urgent` is whether its box is ticked."""

    time_zone: str
    region: str
    max_parts: str
    rate_per_minute: str
    daily_sends: str
    quiet_from: str
    quiet_until: str
    quiet_urgent: bool


def typed(form: Form) -> Typed:
    """What the form holds."""
    texts = {field: form.get(field, "").strip() for field in Typed._fields if field != "quiet_urgent"}
    texts["region"] = texts["region"].upper()
    return Typed(**texts, quiet_urgent="quiet_urgent" in form)


def typed_of(account: Account) -> Typed:
    """What is set."""
    quiet_from, _, quiet_until = (account.quiet or "").partition("-")
    limits = {name: str(value or "") for name in LIMITS for value in (getattr(account, name),)}
    return Typed(
        time_zone=account.time_zone,
        region=account.region or "",
        **limits,
        quiet_from=quiet_from,
        quiet_until=quiet_until,
        quiet_urgent=account.quiet_urgent,
    )


def faults(wanted: Typed) -> Mapping[str, str]:
    """Codes of what is wrong, by field. Whether there is such a time zone or region is auth's to say."""
    wrong = {name: "invalid_limit" for name in LIMITS if not _is_limit(getattr(wanted, name))}
    if not wanted.time_zone:
        wrong["time_zone"] = "invalid_time_zone"
    ends = (wanted.quiet_from, wanted.quiet_until)
    if any(ends) and (ends[0] == ends[1] or not all(_TIME.fullmatch(end) for end in ends)):
        wrong["quiet"] = "invalid_quiet"
    return wrong


def changes(wanted: Typed, account: Account) -> dict[str, Any]:
    """What of SetSettings differs from what is set, where 0 and "" mean none. `wanted` has no faults."""
    present = typed_of(account)
    changed: dict[str, Any] = {
        name: getattr(wanted, name)
        for name in ("time_zone", "region", "quiet_urgent")
        if getattr(wanted, name) != getattr(present, name)
    }
    limits = {name: (int(getattr(wanted, name) or 0), int(getattr(present, name) or 0)) for name in LIMITS}
    changed |= {name: value for name, (value, former) in limits.items() if value != former}
    if (quiet := _quiet(wanted)) != _quiet(present):
        changed["quiet"] = quiet
    return changed


@functools.cache
def time_zones() -> list[str]:
    """The IANA names that this machine knows and people live by. Reads the disk, once."""
    known = zoneinfo.available_timezones()
    return [*sorted(name for name in known if "/" in name and not name.startswith("Etc/")), "UTC"]


def _is_limit(text: str) -> bool:
    return not text or is_count(text, MAX_LIMIT)


def _quiet(settings: Typed) -> str:
    return f"{settings.quiet_from}-{settings.quiet_until}" if settings.quiet_from else ""
