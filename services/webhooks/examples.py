"""An event of each type as receivers get it: what an endpoint is tried out with. Pure; the moments are fixed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.webhooks.formats import (
    ALL_TYPES,
    NEVER_MADE,
    AttemptFacts,
    CallFacts,
    DeviceFacts,
    EndpointFacts,
    EventFacts,
    Facts,
    InboxFacts,
    MessageFacts,
)

_AT: Final = datetime(2026, 3, 27, 9, 22, 54, 316_000, UTC)
_DEVICE: Final = "V1StGXR8_Z5jdHi6B-myT"
_GUID: Final = UUID("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")

_RECEIVED: Final = InboxFacts(
    guid=_GUID,
    number="+15551234567",
    text="hello",
    received_at=_AT,
    utc_offset_min=480,
    stored_at=_AT + timedelta(seconds=8),
    device_id=_DEVICE,
    device_name="Pixel 8",
    sim=1,
)
_CALL: Final = CallFacts(
    guid=_GUID, number="+15551234567", called_at=_AT, utc_offset_min=480, duration_s=42, name="Ann", device_id=_DEVICE
)
_PHONE: Final = DeviceFacts(id=_DEVICE, name="Pixel 8", last_seen_at=_AT)


def _sent(reason: str | None = None, *, tried: bool = True) -> MessageFacts:
    return MessageFacts(
        guid="019d2e1f5a7c0b1e2d3c4b5a69788796a5b40000",
        number="+32471234567",
        text="Your parcel is on its way.",
        client_ref="order-1234",
        attempt=AttemptFacts(number=1, device_id=_DEVICE, sim=1, reason=reason) if tried else None,
    )


def _endpoint(reason: str | None = None, *, pending: int = 0) -> EndpointFacts:
    since = None if reason is None else _AT - timedelta(minutes=5)
    return EndpointFacts(
        id="wh_2p7QmXc9LrTd", url="https://example.org/hook", reason=reason, failing_since=since, pending=pending
    )


_ABOUT: Final[dict[str, Facts]] = {
    "sms.api.submitted": _sent(tried=False),
    "sms.failed": _sent("no_service"),
    "sms.received": _RECEIVED,
    "whatsapp.submitted": _sent(tried=False),
    "whatsapp.failed": _sent("not_on_whatsapp"),
    "whatsapp.received": _RECEIVED,
    "call.missed": _CALL,
    "call.incoming": _CALL,
    "call.outgoing": _CALL,
    "device.online": _PHONE,
    "device.offline": _PHONE,
    "endpoint.failing": _endpoint("It answered HTTP 503.", pending=12),
    "endpoint.disabled": _endpoint("It answered HTTP 410.", pending=12),
    "endpoint.recovered": _endpoint(),
}

EXAMPLES: Final[Mapping[str, EventFacts]] = MappingProxyType(
    {
        type: EventFacts(
            id=UUID(int=_GUID.int + number),
            type=type,
            occurred_at=_AT,
            created_at=_AT + timedelta(seconds=8),
            about=_ABOUT.get(type) or _sent(),
        )
        for number, type in enumerate(ALL_TYPES)
        if type not in NEVER_MADE
    }
)
"""By type: every one that an event can have."""
