"""Reads the form of a webhook: what is typed becomes what webhooks is asked for. Pure."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from services.gateway.dashboard.door.forms import Form
from shared.contracts.rpc.webhooks import BasicAuth, BearerAuth, ClassicSettings, Endpoint, Filter

TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "sms": ("sms.received", "sms.api.submitted", "sms.sent", "sms.delivered", "sms.failed", "sms.mobile.sent"),
    "whatsapp": (
        "whatsapp.received",
        "whatsapp.submitted",
        "whatsapp.sent",
        "whatsapp.delivered",
        "whatsapp.failed",
    ),
    "calls": ("call.missed", "call.incoming", "call.outgoing"),
    "system": ("device.online", "device.offline", "endpoint.failing", "endpoint.disabled", "endpoint.recovered"),
}
"""Every event type that can happen, by what it is about; docs/webhooks.md has them all."""

FIELD_OF: Final[Mapping[str, str]] = {
    "invalid_url": "url",
    "invalid_description": "description",
    "invalid_filter": "filter",
    "invalid_classic": "time_zone",
    "invalid_headers": "headers",
    "invalid_auth": "auth",
    "invalid_secret": "secret",
    "invalid_window": "max_window",
}
"""Beside which field a refusal is shown."""

CLASSIC_TYPE: Final = "sms.received"
"""What the classic form can tell."""

_TYPE, _DEVICE = "type:", "device:"


class Wish(NamedTuple):
    """What is asked for, and which fields cannot be read (field to the code of a sentence)."""

    values: dict[str, Any]
    faults: dict[str, str]


def example_types(format: str) -> tuple[str, ...]:
    """The types that a webhook of this form can be tried out with."""
    return (CLASSIC_TYPE,) if format == "classic" else tuple(each for group in TYPES.values() for each in group)


def groups(endpoint: Endpoint | None) -> dict[str, tuple[str, ...]]:
    """The event types that the form offers, with those of the webhook that never happen: they are not lost unseen."""
    known = {type for group in TYPES.values() for type in group}
    others = tuple(type for type in (endpoint.filter.types if endpoint else ()) if type not in known)
    return {**TYPES, "other": others} if others else {**TYPES}


def typed(endpoint: Endpoint) -> Form:
    """The form of a webhook as it is; its secrets are not in it."""
    classic, filter = endpoint.classic, endpoint.filter
    return {
        "url": endpoint.url,
        "description": endpoint.description,
        "format": endpoint.format,
        "sims": ", ".join(map(str, filter.sims)),
        "numbers": "\n".join(filter.numbers),
        "number_format": classic.number_format,
        "time_format": classic.time_format,
        "time_zone": classic.time_zone or "",
        "auth": "keep" if endpoint.auth else "none",
        "max_window": str(endpoint.max_window),
        **{_TYPE + type: "on" for type in filter.types},
        **{_DEVICE + device: "on" for device in filter.devices},
    }


def wish(form: Form, format: str, *, is_new: bool) -> Wish:
    """What the form asks for. `is_new`: no credentials are none, and not those that there are."""
    faults: dict[str, str] = {}
    values: dict[str, Any] = {
        "url": form.get("url", "").strip(),
        "description": form.get("description", ""),
        "filter": Filter(
            types=[] if format == "classic" else _chosen(form, _TYPE),
            devices=devices(form),
            sims=_sims(form.get("sims", ""), faults),
            numbers=_words(form.get("numbers", "").replace(",", "\n").splitlines()),
        ),
    }
    if format == "classic":
        values["classic"] = _classic(form)
    places = form.get("max_window", "").strip()
    if places:
        values["max_window"] = int(places) if places.isascii() and places.isdecimal() and len(places) < 6 else 0
    if form.get("headers", "").strip() or form.get("no_headers"):
        values["headers"] = {} if form.get("no_headers") else _headers(form["headers"], faults)
    match form.get("auth", ""):
        case "basic":
            values["auth"] = BasicAuth(user=form.get("user", ""), password=form.get("password", ""))
        case "bearer":
            values["auth"] = BearerAuth(token=form.get("token", "").strip())
        case "none":
            values["auth"] = None
    if is_new and (secret := form.get("secret", "").strip()):
        values["secret"] = secret
    return Wish(values, faults)


def devices(form: Form) -> list[str]:
    """The ids of the phones that are ticked."""
    return _chosen(form, _DEVICE)


def _chosen(form: Form, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in form if name.startswith(prefix)]


def _words(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]


def _sims(text: str, faults: dict[str, str]) -> list[int]:
    words = text.replace(",", " ").split()
    if any(not (word.isascii() and word.isdecimal() and len(word) == 1) for word in words):
        faults["sims"] = "invalid_sims"
        return []
    return [int(word) for word in words]


def _classic(form: Form) -> ClassicSettings:
    return ClassicSettings(
        number_format="plus" if form.get("number_format") == "plus" else "plain",
        time_format="text" if form.get("time_format") == "text" else "digits",
        time_zone=form.get("time_zone", "").strip() or None,
    )


def _headers(text: str, faults: dict[str, str]) -> dict[str, str]:
    """One a line. A line without a colon, or a name that stands twice, cannot be read."""
    found: dict[str, str] = {}
    for line in _words(text.splitlines()):
        name, colon, value = line.partition(":")
        if not colon or name.strip() in found:
            faults["headers"] = "invalid_headers"
        found[name.strip()] = value.strip()
    return found
