"""What every form that sends a text shares: the key that makes it send once, the request it becomes, its refusals."""

import re
import secrets
from typing import Final

from services.gateway.admission import Submission
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.languages import Words
from services.gateway.dashboard.messages.drafts import FIELDS, Draft, Fault
from services.gateway.errors import KeyReused, NoChannel, NoDevice, RateLimited
from services.gateway.scopes import OPT
from shared.errors import Invalid, SmsFleetError, Unavailable

ORIGIN: Final = "dashboard"
SENDS: Final = {OPT: "sms:send"}

WHOLE_FORM: Final = "form"
NO_FAULTS: Final = dict.fromkeys((WHOLE_FORM, *Draft._fields), "")

_REFUSALS: Final[dict[type[SmsFleetError], int]] = {
    Invalid: 400,
    NoDevice: 400,
    NoChannel: 400,
    KeyReused: 409,
    RateLimited: 429,
    Unavailable: 503,
}
REFUSED: Final = tuple(_REFUSALS)
"""What a page with the form answers in words."""

_KEY: Final = re.compile(r"[0-9a-f]{32}")


def new_key() -> str:
    """The key of a form that is shown for the first time."""
    return secrets.token_hex(16)


def key_of(text: str) -> str:
    """The key that a form holds; another one where that is none of ours."""
    return text if _KEY.fullmatch(text) else new_key()


def key_after(error: SmsFleetError, key: str) -> str:
    """The key of the form that comes back with this error.

    It stays: what may be on disk all the same is not sent a second time. Only whoever wants something else than what
    was accepted under it needs another one.
    """
    return new_key() if isinstance(error, KeyReused) else key


def submission(request: VisitorRequest, recipients: list[str], text: str, key: str) -> Submission:
    """A text of this visitor's, within the account's limits. `key` is the form's."""
    verdict = request.user.verdict
    return Submission(
        account=request.user.account,
        submitter=verdict.subject,
        recipients=recipients,
        # Browsers send each line's end as CR LF (HTML, 4.10.21.4).
        text=text.replace("\r\n", "\n"),
        origin=ORIGIN,
        # Apart from the keys that programs choose.
        key=f"{ORIGIN}-{key}",
        max_parts=verdict.max_parts,
        daily_sends=verdict.daily_sends,
        time_zone=verdict.time_zone,
    )


def fault_of(error: SmsFleetError, wish: Submission) -> dict[str, Fault]:
    """The error beside the field that it is about, else above the form."""
    field = FIELDS.get(error.code, WHOLE_FORM)
    if isinstance(error, NoDevice) and wish.device is None:
        return {WHOLE_FORM: Fault("no_device_at_all")}
    values = {"most": wish.max_parts} if error.code == "too_many_parts" else {}
    return {field: Fault(error.code, values)}


def told(t: Words, fault: Fault) -> str:
    """The sentence for a fault."""
    key = f"send.error.{fault.code}"
    return t(key, **fault.values) if key in t else t("send.error.other")


def status_of(error: SmsFleetError) -> int:
    """The HTTP status for an error of REFUSED."""
    return next(status for kind, status in _REFUSALS.items() if isinstance(error, kind))
