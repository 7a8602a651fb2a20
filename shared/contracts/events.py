"""What happened, as the dispatcher's outbox tells it on the EVENTS stream: ids and routing facts, never texts."""

from typing import Literal

import msgspec

EventType = Literal[
    "sms.api.submitted",
    "sms.sent",
    "sms.delivered",
    "sms.failed",
    "sms.received",
    "sms.mobile.sent",
    "call.missed",
    "call.incoming",
    "call.outgoing",
    "device.online",
    "device.offline",
    "endpoint.failing",
    "endpoint.disabled",
    "endpoint.recovered",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="contract", tag="event.v1"):
    """One public event. `id` is a UUID, stable over redeliveries; `occurred_at` is Unix seconds.

    `message` (20 bytes) is set for sms.* about sent messages, `inbox` for sms.received, `number` is the change's
    growing number within its message. `endpoint` and `reason` are set for endpoint.*, which only webhooks tells.
    """

    id: str
    account: int
    type: EventType
    occurred_at: float
    message: bytes | None = None
    inbox: int | None = None
    device: str | None = None
    sim: int | None = None
    number: int = 0
    endpoint: str | None = None
    reason: str | None = None
