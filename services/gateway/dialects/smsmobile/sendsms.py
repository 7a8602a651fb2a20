"""/sendsms/: the documented parameters become a submission, its ids the documented answer (contract 2.1)."""

import re
from typing import Final

from services.gateway.admission import MAX_TTL_S, Admission, Submission
from services.gateway.dialects.smsmobile import answers
from services.gateway.dialects.smsmobile.endpoint import Answer
from services.gateway.dialects.smsmobile.errors import Refused
from services.gateway.dialects.smsmobile.fields import whole_number
from services.gateway.dialects.smsmobile.parameters import Parameters
from services.gateway.errors import NoDevice
from shared.contracts.rpc import Verdict
from shared.errors import Invalid
from shared.model.numbers import parse_recipient
from shared.model.storable import is_storable

MAX_ORIGIN_CHARS: Final = 200
MAX_TIMESTAMP: Final = 10**12
DEVICE_ID: Final = re.compile(r"[A-Za-z0-9_-]{21}")


class SendSms:
    """Accepts a message."""

    def __init__(self, admission: Admission) -> None:
        """Everything goes through this door."""
        self._admission = admission

    async def work(self, caller: Verdict, parameters: Parameters) -> Answer:
        """Answers when the message is on disk. Raises what Admission.submit raises, Invalid and Refused."""
        assert caller.account is not None
        _check_channel(parameters)
        port = _port(parameters)
        recipients, listed = _recipients(parameters)
        accepted = await self._admission.submit(
            Submission(
                account=caller.account,
                submitter=caller.subject,
                recipients=recipients,
                text=parameters.get("message", ""),
                scheduled_at=whole_number(parameters, "schedule_timestamp", 0, MAX_TIMESTAMP),
                ttl_s=whole_number(parameters, "ttl", 1, MAX_TTL_S),
                device=_device(parameters),
                sim=int(port) if port else None,
                priority=whole_number(parameters, "priority", -128, 127) or 0,
                origin=_origin(parameters),
            )
        )
        return Answer(answers.sent(accepted.ids, accepted.at, caller.time_zone, port, listed=listed))


def _recipients(parameters: Parameters) -> tuple[list[str], bool]:
    """The recipients and whether it was a list. Raises Invalid.

    A leading space is a raw + (contract section 1). In a list it means so only where the first one has it too:
    "0470123456, 0471123456" is a list with a blank after the comma.
    """
    raw = parameters.get("recipients", "")
    if "," not in raw and ";" not in raw:
        return [parse_recipient(raw)], False
    pieces = [piece for piece in raw.replace(";", ",").split(",") if piece.strip()]
    if pieces and not pieces[0].startswith(" "):
        pieces = [piece.strip() for piece in pieces]
    recipients = [parse_recipient(piece) for piece in pieces]
    return recipients, len(recipients) > 1


def _port(parameters: Parameters) -> str | None:
    port = parameters.get("port")
    if port is None or port in ("1", "2"):
        return port
    raise Invalid("port is 1 or 2.", code="invalid_port")


def _device(parameters: Parameters) -> str | None:
    device = parameters.get("sIdentifiant")
    if device is None or DEVICE_ID.fullmatch(device):
        return device
    raise NoDevice("There is no such device.")


def _origin(parameters: Parameters) -> str | None:
    origin = parameters.get("from")
    if origin is None:
        return None
    if not is_storable(origin):
        raise Invalid("from holds a character that cannot be stored.", code="invalid_from")
    return origin[:MAX_ORIGIN_CHARS]


def _check_channel(parameters: Parameters) -> None:
    """What this gateway cannot do yet is refused, never done halfway."""
    if parameters.get("waonly") == "yes" or parameters.get("sendwa") == "1":
        raise Refused("No phone of the account serves WhatsApp.", code="whatsapp_not_connected")
    if parameters.get("sendsms") == "0":
        raise Invalid("The message would go through no channel at all.", code="no_channel")
    if parameters.get("encrypt_message") == "yes":
        raise Refused("Encrypted messages are not built yet.", code="encrypt_message_not_supported")
    if parameters.get("shorturl") == "1":
        raise Refused("Shortening of URLs is not built yet.", code="shorturl_not_supported")
