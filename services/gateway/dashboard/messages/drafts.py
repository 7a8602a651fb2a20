"""Reads the form of a text that is to be sent: each field into its type, each fault beside its field. Pure."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from services.gateway.admission import MAX_RECIPIENTS
from services.gateway.dashboard.frame import localtimes
from services.gateway.dashboard.frame.formats import visible
from shared.errors import Invalid
from shared.model.numbers import parse_recipient
from shared.model.texts import segments

PRIORITIES: Final = {"low": -50, "normal": 0, "high": 50, "urgent": 100}
"""What people choose among; 100 and above goes out in quiet hours too."""

LIVES_S: Final = (600, 3600, 21_600, 86_400, 259_200, 604_800)
"""Validities that people choose among, in seconds."""

PAST_S: Final = 90
"""A schedule that is longer ago is taken for a slip, not for "now"."""

MAX_SHOWN_CHARS: Final = 40
"""Of a recipient that is none."""

MAX_UNUSUAL: Final = 5

_BY: Final = re.compile(r"([A-Za-z0-9_-]{21})?(?::([1-9]))?")
_LIVES: Final = {str(seconds): seconds for seconds in LIVES_S}
_BETWEEN: Final = re.compile(r"[,;\n\r]+")

FIELDS: Final[Mapping[str, str]] = {
    "missing_recipients": "to",
    "too_many_recipients": "to",
    "invalid_recipient": "to",
    "missing_message": "text",
    "message_too_long": "text",
    "invalid_message": "text",
    "too_many_parts": "text",
    "invalid_schedule_timestamp": "at",
    "invalid_time": "at",
    "past_time": "at",
    "no_device": "by",
    "no_channel": "by",
}
"""Which field an error is about; what is missing here is about the whole form."""


class Fault(NamedTuple):
    """What is wrong with a field: the word `send.error.<code>` with these values."""

    code: str
    values: Mapping[str, object] = {}


class Draft(NamedTuple):
    """The fields as they were typed. `by` is PHONE, PHONE:SLOT or :SLOT; `at` a local time; `valid` seconds."""

    to: str = ""
    text: str = ""
    by: str = ""
    at: str = ""
    priority: str = "normal"
    valid: str = ""
    key: str = ""


class Meant(NamedTuple):
    """What the fields mean. `scheduled_at` is Unix seconds; `left_out` counts recipients that stood there twice."""

    recipients: list[str]
    left_out: int
    device: str | None
    sim: int | None
    scheduled_at: int | None
    jump: localtimes.Jump
    priority: int
    ttl_s: int | None
    faults: dict[str, Fault]


def draft_of(form: Mapping[str, str]) -> Draft:
    """The fields of a form; browsers send each line's end as CR LF (HTML, 4.10.21.4), a text has LF."""
    known = {name: form[name].replace("\r\n", "\n") for name in Draft._fields if name in form}
    draft = Draft(**known)
    return draft if draft.priority in PRIORITIES else draft._replace(priority="normal")


def meant(draft: Draft, region: str | None, zone: str, now: float) -> Meant:
    """What was typed, by the account's region and clock. `now` is Unix seconds."""
    faults: dict[str, Fault] = {}
    recipients, left_out = _recipients(draft.to, region, faults)
    found = _BY.fullmatch(draft.by)
    if found is None:
        faults["by"] = Fault("no_device")
    at, jump = _schedule(draft.at, zone, now, faults)
    return Meant(
        recipients,
        left_out,
        device=found[1] if found else None,
        sim=int(found[2]) if found and found[2] else None,
        scheduled_at=at,
        jump=jump,
        priority=PRIORITIES.get(draft.priority, 0),
        ttl_s=_LIVES.get(draft.valid),
        faults=faults,
    )


def unusual(text: str) -> list[str]:
    """The first characters that the GSM alphabet lacks: they make a text's parts shorter."""
    strange = (character for character in dict.fromkeys(text) if segments(character).encoding == "ucs2")
    return [character for _, character in zip(range(MAX_UNUSUAL), strange, strict=False)]


def isolated(text: str) -> str:
    """A stranger's text within a sentence, which it can neither turn around nor hide (Unicode, UAX 9: FSI, PDI)."""
    return f"\u2068{visible(text)}\u2069"


def _recipients(typed: str, region: str | None, faults: dict[str, Fault]) -> tuple[list[str], int]:
    """Each recipient once, in the order of the field, and how many were left out."""
    pieces = [piece.strip() for piece in _BETWEEN.split(typed) if piece.strip()]
    if len(pieces) > MAX_RECIPIENTS:
        faults["to"] = Fault("too_many_recipients", {"most": MAX_RECIPIENTS})
        return [], 0
    read: dict[str, None] = {}
    for piece in pieces:
        try:
            read[parse_recipient(piece, region)] = None
        except Invalid as error:
            faults["to"] = Fault(error.code, {"piece": isolated(piece[:MAX_SHOWN_CHARS])})
            break
    if not pieces:
        faults["to"] = Fault("missing_recipients")
    return list(read), len(pieces) - len(read)


def _schedule(typed: str, zone: str, now: float, faults: dict[str, Fault]) -> tuple[int | None, localtimes.Jump]:
    if not typed.strip():
        return None, ""
    try:
        read = localtimes.read(typed.strip(), zone)
    except Invalid as error:
        faults["at"] = Fault(error.code)
        return None, ""
    at = int(read.at.timestamp())
    if at < now - PAST_S:
        faults["at"] = Fault("past_time")
    return at, read.jump
