"""The shapes of successful answers, typed as the contract has them (SMSMobileAPI 2.1, 2.3, 2.4). Pure."""

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from services.gateway.store import InboxRow, SentRow
from shared.model.ids import MessageId

SENT_NOTE: Final = "sent by mobile"
NO_RECORD: Final = "no_record"
OUTCOME_UNKNOWN: Final = "outcome unknown"

_encode = msgspec.json.Encoder().encode


class Status(msgspec.Struct, frozen=True):
    """`{"status": "0"}`."""

    status: str = "0"


class TrialAccount(msgspec.Struct, frozen=True):
    """Nobody is on trial here."""

    status: str = "0"
    sms_sent: int = 0


_NOT_ENCRYPTED: Final = Status()
_NO_TRIAL: Final = TrialAccount()


class SendResult(msgspec.Struct, frozen=True, kw_only=True):
    """`result` of a send: `error` is a number and `sent` a text, because clients compare them so (contract 2.1)."""

    error: int = 0
    sent: str = "1"
    id: str
    note: str = SENT_NOTE
    datetime: str
    datetimeLocal: str  # noqa: N815
    port: str | None
    iac_control: str = "1"
    iac_authorized: str = "1"
    send_with_whatsapp: str = "0"
    encrypted: Status = _NOT_ENCRYPTED
    trial_account: TrialAccount = _NO_TRIAL


class ListSendResult(SendResult, frozen=True, kw_only=True):
    """`result` of a send to several recipients: `id` is the first one's, `ids` has all (our extension)."""

    ids: list[str]


class Sent(msgspec.Struct, frozen=True):
    """The answer of /sendsms/."""

    result: SendResult


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sent message in the log (contract 2.3). The two error fields are "" when fine, never 0."""

    guid: str
    id: str
    number: str
    recipients: str
    message: str
    send_from_mobile: str
    send_from_mobile_erreur: str
    error_api: str
    status: str
    datetime: str
    date: str
    hour: str
    timestamp_unix: int
    sIdentifiantPhone: str | None  # noqa: N815
    port: str | None
    schedule_timestamp: int | None
    origin: str | None


class LogResult(msgspec.Struct, frozen=True):
    """`error` is 0 with matches, "no_record" without."""

    error: int | str
    sms: list[LogRow]


class Log(msgspec.Struct, frozen=True):
    """The answer of /log/sent/sms/."""

    result: LogResult


class ReceivedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One received text (contract 2.4). date and hour are UTC, time_received is the phone's own wall clock."""

    id: int
    guid: str
    number: str
    message: str
    timestamp_unix: int
    sIdentifiantPhone: str  # noqa: N815
    alias: str | None
    date: str
    hour: str
    time_received: str


class InboxResult(msgspec.Struct, frozen=True):
    """`error` is null on success; `sms` is always an array."""

    error: None
    sms: list[ReceivedRow]


class Inbox(msgspec.Struct, frozen=True):
    """The answer of /getsms/."""

    result: InboxResult


def sent(ids: list[MessageId], accepted_at: float, time_zone: str, port: str | None, *, listed: bool) -> bytes:
    """The body of an accepted send. `accepted_at`: Unix seconds; `listed`: the caller gave several recipients."""
    utc, local = _stamps(int(accepted_at), time_zone)
    if listed:
        texts = [message_id.hex() for message_id in ids]
        return _encode(Sent(ListSendResult(id=texts[0], datetime=utc, datetimeLocal=local, port=port, ids=texts)))
    return _encode(Sent(SendResult(id=ids[0].hex(), datetime=utc, datetimeLocal=local, port=port)))


def log(rows: list[LogRow]) -> bytes:
    """The body of a log page."""
    return _encode(Log(LogResult(0 if rows else NO_RECORD, rows)))


def inbox(rows: list[InboxRow]) -> bytes:
    """The body of an inbox page."""
    return _encode(Inbox(InboxResult(None, [_received_row(row) for row in rows])))


def log_row(row: SentRow, now: datetime) -> LogRow:
    """A stored message as the log shows it; `now` decides whether an unknown outcome may still come."""
    guid = row.id.hex()
    mobile_error, api_error = _errors(row, now)
    done = row.live_state is None and row.state in ("sent", "delivered")
    sim = row.sim if row.sim is not None else row.wanted_sim
    return LogRow(
        guid=guid,
        id=guid,
        number=row.recipient,
        recipients=row.recipient,
        message=row.text,
        send_from_mobile="1" if done else "0",
        send_from_mobile_erreur=mobile_error,
        error_api=api_error,
        status="Success" if done else "Error" if mobile_error or api_error else "Pending",
        datetime=_utc(row.accepted_at),
        date=row.accepted_at.strftime("%Y-%m-%d"),
        hour=row.accepted_at.strftime("%H:%M:%S"),
        timestamp_unix=int(row.accepted_at.timestamp()),
        sIdentifiantPhone=row.device_id or row.wanted_device_id,
        port=None if sim is None else str(sim),
        schedule_timestamp=int(row.scheduled_at.timestamp()) if row.scheduled_at > row.accepted_at else None,
        origin=row.origin,
    )


def pending_row(message_id: MessageId, accepted_at_ms: int) -> LogRow:
    """A message that is accepted and not in the log yet: what its id tells, and nothing else."""
    at = datetime.fromtimestamp(accepted_at_ms / 1000, UTC)
    guid = message_id.hex()
    return LogRow(
        guid=guid,
        id=guid,
        number="",
        recipients="",
        message="",
        send_from_mobile="0",
        send_from_mobile_erreur="",
        error_api="",
        status="Pending",
        datetime=_utc(at),
        date=at.strftime("%Y-%m-%d"),
        hour=at.strftime("%H:%M:%S"),
        timestamp_unix=accepted_at_ms // 1000,
        sIdentifiantPhone=None,
        port=None,
        schedule_timestamp=None,
        origin=None,
    )


def _errors(row: SentRow, now: datetime) -> tuple[str, str]:
    """What the handset and what the API have to complain about; both empty while a message is under way."""
    if row.live_state is not None:
        return "", ""
    match row.state:
        case "failed":
            return row.reason or "failed", ""
        case "expired" | "canceled":
            return "", row.state
        case "unknown" if now >= row.valid_until:
            return OUTCOME_UNKNOWN, ""
    return "", ""


def _received_row(row: InboxRow) -> ReceivedRow:
    at_phone = row.received_at.astimezone(timezone(timedelta(minutes=row.utc_offset_min)))
    return ReceivedRow(
        id=row.id,
        guid=str(row.guid).upper(),
        number=row.number,
        message=row.text,
        timestamp_unix=int(row.received_at.timestamp()),
        sIdentifiantPhone=row.device_id,
        alias=None,
        date=row.stored_at.strftime("%Y-%m-%d"),
        hour=row.stored_at.strftime("%H:%M:%S"),
        time_received=at_phone.strftime("%Y%m%d%H%M%S") + f"{at_phone.microsecond // 1000:03d}",
    )


def _utc(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1024)
def _stamps(second: int, time_zone: str) -> tuple[str, str]:
    """The second in UTC and in the account's zone; many requests share it."""
    utc = datetime.fromtimestamp(second, UTC)
    return _utc(utc), utc.astimezone(_zone(time_zone)).isoformat()


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | timezone:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # an unknown name is a KeyError's child there: ZoneInfoNotFoundError
        return UTC
    except KeyError:
        return UTC
