"""What the app says of messages, as reports of attempts: its states and the words of its failures. Pure."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from services.gateway.phones.frames import instant
from services.gateway.phones.smsgate.wire import Reported, instant_ms
from shared.contracts.phone import Outcome
from shared.contracts.reports import AttemptReported
from shared.model.ids import parse_attempt_id

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "Sent": "sent",
    "Delivered": "delivered",
    "Failed": "failed",
    "Cancelled": "canceled",
}

TTL_EXPIRED: Final = "TTL expired"

_SEND_RESULT: Final = "Send result"
_DELIVERY_RESULT: Final = "Delivery result"

# Names of the results in Android's SmsManager, without RESULT_ and ERROR_. Whether another try is of use follows from
# the reason (docs/phone-protocol.md): not for `invalid_number` and `no_subscription`.
_RESULTS: Final[Mapping[str, str]] = {
    "NO_SERVICE": "no_service",
    "RADIO_OFF": "radio_off",
    "RADIO_NOT_AVAILABLE": "radio_off",
    "RIL_RADIO_NOT_AVAILABLE": "radio_off",
    "RIL_NETWORK_NOT_READY": "no_service",
    "RIL_SIM_ABSENT": "sim_missing",
    "RIL_INVALID_SIM_STATE": "sim_missing",
    "FDN_CHECK_FAILURE": "invalid_number",
    "SHORT_CODE_NOT_ALLOWED": "invalid_number",
    "SHORT_CODE_NEVER_ALLOWED": "invalid_number",
    "INVALID_SMS_FORMAT": "invalid_number",
    "RIL_INVALID_SMS_FORMAT": "invalid_number",
    "LIMIT_EXCEEDED": "limit_exceeded",
    "RIL_REQUEST_RATE_LIMITED": "limit_exceeded",
    # The phone's user said no when Android asked, or did not answer in time.
    "UNEXPECTED_EVENT_STOP_SENDING": "limit_exceeded",
    "NETWORK_REJECT": "carrier_rejected",
    "RIL_NETWORK_REJECT": "carrier_rejected",
    "NETWORK_ERROR": "carrier_rejected",
    "RIL_NETWORK_ERR": "carrier_rejected",
    "RIL_ACCESS_BARRED": "no_subscription",
    "REQUEST_NOT_SUPPORTED": "no_subscription",
    "RIL_REQUEST_NOT_SUPPORTED": "no_subscription",
    "NO_DEFAULT_SMS_APP": "no_permission",
}


class Told(NamedTuple):
    """One message's report: what to put on the stream, and the attempt of which the phone has spoken at all."""

    attempt: str
    reports: list[AttemptReported]
    expired: bool


def told(account: int, device: str, said: Reported, now: float) -> Told | None:
    """The report of a message; None for an id that is no attempt id. `now` is Unix seconds.

    A message has one recipient here, whose state says more than the message's own. Every state has its time; one whose
    time is missing or absurd happened now.
    """
    parsed = parse_attempt_id(said.id)
    if parsed is None:
        return None
    recipient = said.recipients[0] if len(said.recipients) == 1 else None
    state = (recipient and recipient.state) or said.state or ""
    error = (recipient and recipient.error) or ""
    moments = {name: instant_ms(time) for name, time in said.states.items() if name in _OUTCOMES}
    if state in _OUTCOMES:
        moments.setdefault(state, None)
    reports = [
        AttemptReported(
            account=account,
            device=device,
            message=parsed[0],
            number=parsed[1],
            state=_OUTCOMES[name],
            at=now if moment is None else instant(moment[0], now),
            reason=reason(error, sent="Sent" in moments) if name == "Failed" else None,
        )
        for name, moment in moments.items()
    ]
    return Told(said.id, reports, state == "Failed" and error.startswith(TTL_EXPIRED))


def reason(error: str, *, sent: bool) -> str:
    """Our word for a failure. `sent`: the radio had accepted a part before."""
    if error.startswith(TTL_EXPIRED):
        return "expired"
    if error.startswith(_DELIVERY_RESULT):
        return "undelivered"
    if error.startswith(_SEND_RESULT):
        return "partly_sent" if sent else _result(error)
    lowered = error.lower()
    if "no sim" in lowered or "sim not found" in lowered:
        return "no_sim"
    if "permission" in lowered or "securityexception" in lowered:
        return "no_permission"
    if "destinationaddress" in lowered or "invalid address" in lowered:
        return "invalid_number"
    return "generic"


def _result(error: str) -> str:
    words = error.removeprefix(_SEND_RESULT).lstrip(": ").split()
    name = words[0] if words else ""
    return _RESULTS.get(name.removeprefix("RESULT_").removeprefix("ERROR_"), "generic")
