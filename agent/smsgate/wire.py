"""What goes over the wire in both directions, read as strictly as the app's own parser reads it and written alike."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec

from agent.smsgate.errors import Unreadable
from agent.smsgate.facts import SHOWN_OF_NUMBERS, HookEvent, State

T = TypeVar("T")

# Exactly what a server is told to send (1.1). Other forms parse on some versions of Android only: here they are bad.
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")

_WORDS: Final = frozenset({"Pending", "Cancelling", "Processed", "Sent", "Delivered", "Failed", "Cancelled"})


class Registered(msgspec.Struct, frozen=True):
    """The answer to POST /device (1.2)."""

    id: str
    token: str
    login: str
    password: str | None = None


class TextContent(msgspec.Struct, frozen=True):
    """The words of a text."""

    text: str


class DataContent(msgspec.Struct, frozen=True):
    """The bytes of a data SMS, in base64."""

    data: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One message of the answer to GET /message (1.4)."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=36)]
    phone_numbers: Annotated[list[str], msgspec.Meta(min_length=1)]
    text_message: TextContent | None = None
    data_message: DataContent | None = None
    message: str | None = None
    sim_number: int | None = None
    with_delivery_report: bool | None = None
    is_encrypted: bool | None = None
    valid_until: str | None = None
    schedule_at: str | None = None
    priority: Annotated[int, msgspec.Meta(ge=-128, le=127)] | None = None
    state: str | None = None
    created_at: str | None = None

    @property
    def text(self) -> str | None:
        """The words, None for a data SMS and for an item without content."""
        return self.text_message.text if self.text_message else self.message

    @property
    def known_state(self) -> str | None:
        """The state, None for a word that the app does not know (1.1)."""
        return self.state if self.state in _WORDS else None


class Hook(msgspec.Struct, frozen=True):
    """One item of the answer to GET /webhooks (1.2)."""

    id: str
    url: str
    event: HookEvent


class Sim(NamedTuple):
    """A SIM in the phone; slots count from 1."""

    slot: int
    number: str | None = None
    carrier: str | None = None
    card: str | None = None


class RecipientReport(NamedTuple):
    """What the phone says of one recipient."""

    number: str
    state: State
    error: str | None


class Report(NamedTuple):
    """What the phone says of a message: all recipients and all times so far, Unix milliseconds."""

    id: str
    state: State
    recipients: Sequence[RecipientReport]
    times_ms: dict[State, int]


def registered(body: bytes) -> Registered:
    """Raises Unreadable."""
    return _decoded(body, Registered, "the registration")


def messages(body: bytes) -> list[Given]:
    """The pulled messages. Raises Unreadable: one bad item spoils the whole list."""
    given = _decoded(body, list[Given], "the messages")
    for item in given:
        for text in (item.valid_until, item.schedule_at, item.created_at):
            unix_ms(text)
    return given


def hooks(body: bytes) -> list[Hook]:
    """The webhooks. Raises Unreadable: one unknown event spoils the whole list (1.9)."""
    return _decoded(body, list[Hook], "the webhooks")


def unix_ms(date: str | None) -> int | None:
    """The moment of a date that the server sent. Raises Unreadable."""
    if date is None:
        return None
    try:
        if _DATE.fullmatch(date):
            return round(datetime.fromisoformat(date).timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise Unreadable(f"the date {date!r}")


def date(at_ms: int, utc_offset_min: int) -> str:
    """A moment as the app writes it (1.1): the phone's local time, three digits, `Z` where it is UTC."""
    zone = timezone(timedelta(minutes=utc_offset_min)) if utc_offset_min else UTC
    return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def report_body(report: Report, utc_offset_min: int) -> bytes:
    """The body of PATCH /message: always a list of one."""
    return encoded(
        [
            {
                "id": report.id,
                "state": report.state,
                "recipients": [
                    {"phoneNumber": each.number, "state": each.state, "error": each.error} for each in report.recipients
                ],
                "states": {state: date(at_ms, utc_offset_min) for state, at_ms in report.times_ms.items()},
            }
        ]
    )


def device_body(sims: Sequence[Sim], push_token: str | None, **who: str) -> bytes:
    """The body of POST /device (`who`: name) and of PATCH /device (`who`: id)."""
    cards = [
        {
            "slotIndex": sim.slot - 1,
            "simNumber": sim.slot,
            "phoneNumber": _redacted(sim.number),
            "carrierName": _redacted(sim.carrier),
            "iccid": _redacted(sim.card),
        }
        for sim in sims
    ]
    return encoded({**who, "pushToken": push_token, "simCards": cards})


def encoded(value: Any) -> bytes:
    """JSON without the fields that are null (1.1)."""
    return msgspec.json.encode(_without_nulls(value))


def _decoded(body: bytes, kind: type[T], what: str) -> T:
    try:
        # Not strict: the app's parser takes "1" for 1, too.
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"{what}: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _redacted(text: str | None) -> str | None:
    return None if text is None else text[-SHOWN_OF_NUMBERS:]
