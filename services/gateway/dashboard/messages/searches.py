"""Reads what a person looks for among messages from the address of the page, and says which field is wrong. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.gateway.dashboard.frame import localtimes
from services.gateway.dashboard.store.filters import Filter, read_filter
from shared.errors import Invalid
from shared.model.ids import MESSAGE_ID_BYTES, parse_message_id
from shared.model.numbers import compacted

FIELDS: Final[Mapping[str, str]] = {
    "invalid_number": "q",
    "invalid_text": "q",
    "invalid_state": "state",
    "invalid_device": "phone",
}
"""Which field an error is about."""

_NUMBER: Final = re.compile(r"\+?[0-9]+")
_PLACE: Final = re.compile(rf"[0-9a-f]{{2,{2 * MESSAGE_ID_BYTES + 2}}}")


class Search(NamedTuple):
    """The fields as they were typed. `q` is an id, a number, or a text, which quotes make one for sure."""

    q: str = ""
    state: str = ""
    phone: str = ""
    since: str = ""
    until: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether everything is wanted."""
        return not any(self)


def search_of(parameters: Mapping[str, Any]) -> Search:
    """The fields that stand in an address."""
    return Search(**{name: str(parameters.get(name, "")).strip() for name in Search._fields})


def wanted(search: Search, region: str | None, zone: str) -> tuple[Filter, dict[str, str]]:
    """What the fields mean by the account's region and clock, and the codes of what is wrong by field."""
    faults: dict[str, str] = {}
    since, until = (_moment(getattr(search, name), zone, name, faults) for name in ("since", "until"))
    kind, word = _kind(search.q)
    try:
        found = read_filter(
            **{kind: word}, state=search.state, device=search.phone, since=since, until=until, region=region
        )
    except Invalid as error:
        return Filter(), faults | {FIELDS.get(error.code, "q"): error.code}
    return found, faults


def place(text: str) -> bytes | None:
    """A place between two pages as addresses write it; None for what is none."""
    return bytes.fromhex(text) if len(text) % 2 == 0 and _PLACE.fullmatch(text) else None


def _kind(typed: str) -> tuple[str, str]:
    if len(typed) > 1 and typed[0] == typed[-1] == '"':
        return "text", typed[1:-1]
    if parse_message_id(typed):
        return "message", typed
    if _NUMBER.fullmatch(compacted(typed)):
        return "number", typed
    return "text", typed


def _moment(typed: str, zone: str, name: str, faults: dict[str, str]) -> datetime | None:
    if not typed:
        return None
    try:
        return localtimes.read(typed, zone).at
    except Invalid as error:
        faults[name] = error.code
        return None
