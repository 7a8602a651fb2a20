"""The bodies that receivers get, made once for each delivery from the facts of an event. Pure.

Contract: SMSMobileAPI, section 3 (classic) and section 4 (V2). What it leaves open is our choice: docs/webhooks.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from shared.contracts.rpc.webhooks import ClassicSettings

API_VERSION: Final = "2026-09-22"

DEFAULT_V2_TYPES: Final = (
    "sms.api.submitted",
    "sms.sent",
    "sms.failed",
    "sms.received",
    "sms.mobile.sent",
    "call.missed",
    "call.incoming",
    "call.outgoing",
    "whatsapp.submitted",
    "whatsapp.sent",
    "whatsapp.failed",
    "whatsapp.received",
    "whatsapp.voice.transcribed",
    "email.sent",
    "email.received",
)
"""The contract's types: what a V2 endpoint gets that does not choose."""

OWN_TYPES: Final = (
    "sms.delivered",
    "whatsapp.delivered",
    "device.online",
    "device.offline",
    "endpoint.failing",
    "endpoint.disabled",
    "endpoint.recovered",
)
"""Types beyond the contract: for endpoints that choose them."""

ALL_TYPES: Final = DEFAULT_V2_TYPES + OWN_TYPES
"""Every type that an endpoint may choose."""

NEVER_MADE: Final = frozenset({"whatsapp.voice.transcribed", "email.sent", "email.received"})
"""Types of the commercial service that nothing here causes; choosing one does no harm."""

CLASSIC_TYPES: Final = ("sms.received",)
"""What the classic form can tell."""


AS_CAPTURED: Final = ClassicSettings()
"""What the commercial service was seen to send."""


@dataclass(frozen=True, kw_only=True)
class AttemptFacts:
    """The attempt that an event tells of. `reason`: why it failed."""

    number: int
    device_id: str
    sim: int | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class MessageFacts:
    """A message that is or was to be sent. `guid`: 40 hex digits; `device_id`, `sim`: where it is pinned to.

    `attempt` is set where the event is a phone's; `reason` says why a message failed that no phone tried.
    """

    guid: str
    number: str
    text: str
    client_ref: str | None = None
    device_id: str | None = None
    sim: int | None = None
    reason: str | None = None
    attempt: AttemptFacts | None = None


@dataclass(frozen=True, kw_only=True)
class InboxFacts:
    """A received text as the inbox holds it. Times are aware; the offset (minutes) gives the phone's local time."""

    guid: UUID
    number: str
    text: str
    received_at: datetime
    utc_offset_min: int
    stored_at: datetime
    device_id: str | None = None
    device_name: str = ""
    sim: int | None = None


@dataclass(frozen=True, kw_only=True)
class CallFacts:
    """A call that a phone had or missed. `name`: of the other side, where the phone knows it."""

    guid: UUID
    number: str
    called_at: datetime
    utc_offset_min: int
    duration_s: int = 0
    name: str = ""
    device_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceFacts:
    """A phone that came or went."""

    id: str
    name: str
    last_seen_at: datetime


@dataclass(frozen=True, kw_only=True)
class EndpointFacts:
    """An endpoint that fares well or badly. `reason`: what is wrong; `failing_since`: the first failure in a row."""

    id: str
    url: str
    reason: str | None = None
    failing_since: datetime | None = None
    pending: int = 0


Facts = MessageFacts | InboxFacts | CallFacts | DeviceFacts | EndpointFacts


@dataclass(frozen=True, kw_only=True)
class EventFacts:
    """An event and what it is about. `created_at`: when the event was stored; the same for each of its deliveries."""

    id: UUID
    type: str
    occurred_at: datetime
    created_at: datetime
    about: Facts


class _Classic(msgspec.Struct, frozen=True):
    """Six strings, in this order (contract section 3)."""

    date: str
    hour: str
    time_received: str
    message: str
    number: str
    guid: str


class _Envelope(msgspec.Struct, frozen=True):
    """The V2 envelope, which has no other keys (contract section 4)."""

    id: str
    type: str
    api_version: str
    created_at: str
    occurred_at: str
    data: dict[str, object]


def classic_body(sms: InboxFacts, settings: ClassicSettings = AS_CAPTURED) -> bytes:
    """The classic JSON body: when it was stored, when it was received, text, number, guid."""
    zone = ZoneInfo(settings.time_zone) if settings.time_zone else None
    stored = sms.stored_at.astimezone(zone or UTC)
    received = sms.received_at.astimezone(zone) if zone else _by_phone(sms.received_at, sms.utc_offset_min)
    digits = f"{received:%Y%m%d%H%M%S}{received.microsecond // 1000:03}"
    return msgspec.json.encode(
        _Classic(
            date=f"{stored:%Y-%m-%d}",
            hour=f"{stored:%H:%M:%S}",
            time_received=digits if settings.time_format == "digits" else f"{received:%Y-%m-%d %H:%M:%S}",
            message=sms.text,
            number=sms.number.removeprefix("+") if settings.number_format == "plain" else sms.number,
            guid=str(sms.guid).upper(),
        )
    )


def v2_body(event: EventFacts) -> bytes:
    """The V2 JSON body: the envelope around what the event is about. The same facts give the same bytes."""
    return msgspec.json.encode(
        _Envelope(
            id=str(event.id),
            type=event.type,
            api_version=API_VERSION,
            created_at=_iso(event.created_at),
            occurred_at=_iso(event.occurred_at),
            data=_data(event),
        )
    )


def type_on_channel(type: str, channel: str) -> str:
    """The type under which receivers hear of this message's event: the contract has names of its own for WhatsApp."""
    if channel != "whatsapp":
        return type
    return type.replace("sms.api.", "whatsapp.").replace("sms.", "whatsapp.")


def _data(event: EventFacts) -> dict[str, object]:
    match event.about:
        case MessageFacts() as message:
            return _message(event, message)
        case InboxFacts() as sms:
            return {
                "guid": str(sms.guid).upper(),
                "from": sms.number,
                "message": sms.text,
                "received_at": _iso(sms.received_at),
                "alias": sms.device_name,
                "device_id": sms.device_id,
                "sim": sms.sim,
            }
        case CallFacts() as call:
            return {
                "guid": str(call.guid).upper(),
                "number": call.number,
                "name": call.name,
                "duration_seconds": call.duration_s,
                "device_id": call.device_id,
                "call_at": f"{_by_phone(call.called_at, call.utc_offset_min):%Y-%m-%d %H:%M:%S}",
            }
        case DeviceFacts() as device:
            return {"device_id": device.id, "name": device.name, "last_seen_at": _iso(device.last_seen_at)}
        case EndpointFacts() as endpoint:
            since = endpoint.failing_since
            return {
                "endpoint_id": endpoint.id,
                "url": endpoint.url,
                "reason": endpoint.reason,
                "failing_since": _iso(since) if since else None,
                "pending": endpoint.pending,
            }


def _message(event: EventFacts, message: MessageFacts) -> dict[str, object]:
    """`submitted_at`, `sent_at`, `delivered_at` or `failed_at` is when the event occurred."""
    happened = event.type.rpartition(".")[2]
    attempt = message.attempt
    data: dict[str, object] = {
        "guid": message.guid,
        "to": message.number,
        "message": message.text,
        "device_id": attempt.device_id if attempt else message.device_id,
        "sim": attempt.sim if attempt else message.sim,
        "client_ref": message.client_ref,
        f"{happened}_at": _iso(event.occurred_at),
    }
    if happened == "failed":
        data["error"] = (attempt and attempt.reason) or message.reason or "unknown"
    return data


def _by_phone(at: datetime, utc_offset_min: int) -> datetime:
    """The phone's local time, which may be any day's."""
    return at.astimezone(UTC) + timedelta(minutes=utc_offset_min)


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
