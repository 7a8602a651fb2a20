"""The bodies that receivers get, made once for each event. Pure (contract: SMSMobileAPI section 3)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec


class Classic(msgspec.Struct, frozen=True):
    """The classic body of a received text: six strings, in this order."""

    date: str
    hour: str
    time_received: str
    message: str
    number: str
    guid: str


class ReceivedSms(msgspec.Struct, frozen=True, kw_only=True):
    """A received text as the inbox holds it. Times are aware; the offset (minutes) gives the phone's local time."""

    guid: UUID
    number: str
    text: str
    received_at: datetime
    utc_offset_min: int
    stored_at: datetime


def classic(sms: ReceivedSms) -> bytes:
    """The JSON body: when it was stored in UTC, when it was received by the phone's clock, text, number, guid."""
    stored = sms.stored_at.astimezone(UTC)
    local = sms.received_at.astimezone(UTC) + timedelta(minutes=sms.utc_offset_min)
    return msgspec.json.encode(
        Classic(
            date=f"{stored:%Y-%m-%d}",
            hour=f"{stored:%H:%M:%S}",
            time_received=f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03}",
            message=sms.text,
            number=sms.number.removeprefix("+"),
            guid=str(sms.guid).upper(),
        )
    )
