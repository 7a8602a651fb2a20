"""What people look for among messages, read from what they typed."""

import re
from datetime import datetime
from typing import Final, NamedTuple

from shared.db.seen import SEEN_STATES, SeenState
from shared.errors import Invalid
from shared.model.ids import MessageId, parse_message_id
from shared.model.numbers import compacted, parse_recipient
from shared.model.storable import is_storable

MIN_DIGITS: Final = 4
MIN_LETTERS: Final = 3
MAX_CHARS: Final = 200
TEXT_DAYS: Final = 30
"""Texts are looked through for so many days."""

_DEVICE = re.compile(r"[A-Za-z0-9_-]{21}")
_DIGITS = re.compile(r"\+?[0-9]+")


class Number(NamedTuple):
    """A number that is this one, or has these digits in it; one of the two is there."""

    exact: str | None
    digits: str | None


class Filter(NamedTuple):
    """Which sent messages: those with all of this. `since` is inclusive, `until` is not; `text` in whatever case."""

    message: MessageId | None = None
    number: Number | None = None
    state: SeenState | None = None
    device: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


def read_filter(
    *,
    message: str = "",
    number: str = "",
    state: str = "",
    device: str = "",
    text: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    region: str | None = None,
) -> Filter:
    """The filter that was typed, nothing of what is empty; `region` is the account's, for national numbers.

    Raises Invalid: `invalid_message_id`, `invalid_number`, `invalid_state`, `invalid_device`, `invalid_text`.
    """
    message, number, state, device, text = (word.strip() for word in (message, number, state, device, text))
    return Filter(
        message=_message(message) if message else None,
        number=read_number(number, region) if number else None,
        state=_state(state) if state else None,
        device=_device(device) if device else None,
        since=since,
        until=until,
        text=_text(text) if text else None,
    )


def read_number(raw: str, region: str | None) -> Number:
    """The number as the log has it (shared/model/numbers), or at least four of its digits. Raises Invalid."""
    compact = compacted(raw)
    digits = compact.lstrip("+") if _DIGITS.fullmatch(compact) and len(compact) <= MAX_CHARS else ""
    try:
        exact = parse_recipient(raw, region)
    except Invalid:
        exact = None
    if exact is None and len(digits) < MIN_DIGITS:
        raise Invalid(f"A number has at least {MIN_DIGITS} digits.", code="invalid_number")
    return Number(exact, digits if len(digits) >= MIN_DIGITS else None)


def _message(raw: str) -> MessageId:
    parsed = parse_message_id(raw)
    if parsed is None:
        raise Invalid("That is no message's id.", code="invalid_message_id")
    return parsed


def _state(raw: str) -> SeenState:
    if raw not in SEEN_STATES:
        raise Invalid("There is no such state.", code="invalid_state")
    return raw


def _device(raw: str) -> str:
    if not _DEVICE.fullmatch(raw):
        raise Invalid("That is no phone's id.", code="invalid_device")
    return raw


def _text(raw: str) -> str:
    if not MIN_LETTERS <= len(raw) <= MAX_CHARS or not is_storable(raw):
        raise Invalid(f"A text to look for has {MIN_LETTERS} to {MAX_CHARS} letters.", code="invalid_text")
    return raw
