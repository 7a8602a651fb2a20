"""The shapes of successful answers about messages, typed as the contract has them (SMSMobileAPI 2.1 to 2.5). Pure."""

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import msgspec

from services.gateway.dialects.smsmobile.fields import zone
from services.gateway.store import InboxRow, SentRow
from shared.model.ids import MessageId

SENT_NOTE: Final = "sent by mobile"
RESENT_NOTE: Final = "resent"
NO_RECORD: Final = "no_record"
OUTCOME_UNKNOWN: Final = "outcome unknown"
REJECTED: Final = "rejected"
"""The reason of a message that was accepted and could not be stored as it stands: a fault of the request."""

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


class CancelResult(msgspec.Struct, frozen=True, kw_only=True):
    """`result` of a cancellation (our extension); `canceled` "0": an app's phone was asked, its report will tell."""

    error: int = 0
    canceled: str
    id: str
    note: str


class Canceled(msgspec.Struct, frozen=True):
    """The answer of /cancel/."""

    result: CancelResult


class DeleteResult(msgspec.Struct, frozen=True, kw_only=True):
    """`result` of a deletion: how many messages left the logs, as text (contract 2.5)."""

    error: int = 0
    deleted: str


class Deleted(msgspec.Struct, frozen=True):
    """The answer of /deletesms/."""

    result: DeleteResult


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sent message in the log (contract 2.3). The two error fields are "" when fine, never 0.

    From `client_ref` on the fields are our extension; `valid_until` is in Unix seconds.
    """

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
    client_ref: str | None
    priority: int | None
    valid_until: int | None
    estimated_at: int | None
    reason: str | None
    encoding: str | None
    parts: int | None


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


def sent(
    ids: list[MessageId], accepted_at: float, time_zone: str, port: str | None, *, listed: bool, whatsapp: bool = False
) -> bytes:
    """The body of an accepted send. `accepted_at`: Unix seconds; `listed`: all ids are shown, not the first alone."""
    utc, local = _stamps(int(accepted_at), time_zone)
    if not listed and not whatsapp:
        return _encode(Sent(SendResult(id=ids[0].hex(), datetime=utc, datetimeLocal=local, port=port)))
    texts = [message_id.hex() for message_id in ids]
    fields = SendResult(
        id=texts[0], datetime=utc, datetimeLocal=local, port=port, send_with_whatsapp="1" if whatsapp else "0"
    )
    return _encode(Sent(ListSendResult(**msgspec.structs.asdict(fields), ids=texts) if listed else fields))


def resent(row: SentRow, at: float, time_zone: str) -> bytes:
    """The body of a message sent again at `at` (Unix seconds): a send's, under the id that it has."""
    utc, local = _stamps(int(at), time_zone)
    result = SendResult(
        id=row.id.hex(),
        note=RESENT_NOTE,
        datetime=utc,
        datetimeLocal=local,
        port=None if row.wanted_sim is None else str(row.wanted_sim),
        send_with_whatsapp="1" if row.channel == "whatsapp" else "0",
    )
    return _encode(Sent(result))


def canceled(message_id: bytes, *, wished: bool) -> bytes:
    """The body of a cancellation; `wished`: the phone that has the message was asked to leave it."""
    result = CancelResult(
        canceled="0" if wished else "1", id=message_id.hex(), note="cancelling" if wished else "canceled"
    )
    return _encode(Canceled(result))


def deleted(count: int) -> bytes:
    """The body of a deletion."""
    return _encode(Deleted(DeleteResult(deleted=str(count))))


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
        client_ref=row.client_ref,
        priority=row.priority,
        valid_until=int(row.valid_until.timestamp()),
        estimated_at=None if row.estimated_at is None else int(row.estimated_at.timestamp()),
        reason=row.reason,
        encoding=row.encoding,
        parts=row.parts,
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
        client_ref=None,
        priority=None,
        valid_until=None,
        estimated_at=None,
        reason=None,
        encoding=None,
        parts=None,
    )


def _errors(row: SentRow, now: datetime) -> tuple[str, str]:
    """What the handset and what the API have to complain about; both empty while a message is under way."""
    if row.state == "unknown" and now >= row.valid_until:
        return OUTCOME_UNKNOWN, ""
    if row.live_state is not None:
        return "", ""
    match row.state:
        case "failed" if row.reason == REJECTED:
            return REJECTED, REJECTED
        case "failed":
            return row.reason or "failed", ""
        case "expired" | "canceled":
            return "", row.state
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
    return _utc(utc), utc.astimezone(zone(time_zone)).isoformat()
