"""/sendsms/: the documented parameters become a submission, its ids the documented answer (contract 2.1)."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from services.gateway.admission import MAX_TTL_S, ONLY_SMS, SMS, Admission, Submission
from services.gateway.dialects.smsmobile import answers
from services.gateway.dialects.smsmobile.endpoint import Answer, Call
from services.gateway.dialects.smsmobile.errors import Refused
from services.gateway.dialects.smsmobile.fields import flag, reference, whole_number
from services.gateway.dialects.smsmobile.parameters import Parameters
from services.gateway.errors import NoDevice
from shared.errors import Invalid
from shared.model.numbers import parse_recipient
from shared.model.storable import is_storable

MAX_ORIGIN_CHARS: Final = 200
MAX_URL_CHARS: Final = 2000
MAX_TIMESTAMP: Final = 10**12
DEVICE_ID: Final = re.compile(r"[A-Za-z0-9_-]{21}")
WHATSAPP: Final = "whatsapp"

_UNUSUAL: Final = frozenset(("sendsms", "sendwa", "waonly", "url_media", "encrypt_message", "shorturl"))
_URL: Final = re.compile(r"[!-~]+")


class SendSms:
    """Accepts a message."""

    def __init__(self, admission: Admission) -> None:
        """Everything goes through this door."""
        self._admission = admission

    async def work(self, call: Call) -> Answer:
        """Answers when the message is on disk. Raises what Admission.submit raises, Invalid and Refused."""
        caller, parameters, _ = call
        channels: tuple[str, ...] = ONLY_SMS
        media_url = None
        if not _UNUSUAL.isdisjoint(parameters):
            channels, media_url = _channels(parameters), _media_url(parameters)
            _refuse_unbuilt(parameters)
        port = _port(parameters)
        recipients, listed = _recipients(parameters, caller.region)
        accepted = await self._admission.submit(
            Submission(
                account=call.account,
                submitter=caller.subject,
                recipients=recipients,
                text=parameters.get("message", ""),
                scheduled_at=whole_number(parameters, "schedule_timestamp", 0, MAX_TIMESTAMP),
                ttl_s=whole_number(parameters, "ttl", 1, MAX_TTL_S),
                device=_device(parameters),
                sim=int(port) if port else None,
                priority=whole_number(parameters, "priority", -128, 127) or 0,
                origin=_origin(parameters),
                channels=channels,
                media_url=media_url,
                key=_key(parameters, call.headers),
                max_parts=caller.max_parts,
                daily_sends=caller.daily_sends,
                time_zone=caller.time_zone,
            )
        )
        return Answer(
            answers.sent(
                accepted.ids,
                accepted.at,
                caller.time_zone,
                port,
                listed=listed or len(channels) > 1,
                whatsapp=channels is not ONLY_SMS and WHATSAPP in channels,
            )
        )


def _recipients(parameters: Parameters, region: str | None = None) -> tuple[list[str], bool]:
    """The recipients and whether it was a list. Raises Invalid.

    A leading space is a raw + (contract section 1). In a list it means so only where the first one has it too:
    "0470123456, 0471123456" is a list with a blank after the comma.
    """
    raw = parameters.get("recipients", "")
    if "," not in raw and ";" not in raw:
        return [parse_recipient(raw, region)], False
    pieces = [piece for piece in raw.replace(";", ",").split(",") if piece.strip()]
    if pieces and not pieces[0].startswith(" "):
        pieces = [piece.strip() for piece in pieces]
    recipients = [parse_recipient(piece, region) for piece in pieces]
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


def _key(parameters: Parameters, headers: Mapping[bytes, bytes]) -> str | None:
    """The key under which the request is sent once. Raises Invalid."""
    name, header = parameters.get("client_ref"), headers.get(b"idempotency-key")
    if name is None and header is None:
        return None
    by_name = None if name is None else reference(name, "client_ref")
    by_header = None if header is None else reference(_decoded(header), "idempotency_key")
    if by_name is not None and by_header is not None and by_name != by_header:
        raise Invalid("Idempotency-Key and client_ref are not the same.", code="idempotency_key_mismatch")
    return by_name or by_header


def _decoded(header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError as error:
        raise Invalid("Idempotency-Key is not valid UTF-8.", code="invalid_idempotency_key") from error


def _channels(parameters: Parameters) -> tuple[str, ...]:
    """SMS, WhatsApp or both. Raises Invalid."""
    by_sms = flag(parameters, "sendsms") is not False
    by_whatsapp = flag(parameters, "sendwa") is True
    if flag(parameters, "waonly"):
        return (WHATSAPP,)
    if not by_sms and not by_whatsapp:
        raise Invalid("The message would go through no channel at all.", code="no_channel")
    return (SMS,) * by_sms + (WHATSAPP,) * by_whatsapp if by_whatsapp else ONLY_SMS


def _media_url(parameters: Parameters) -> str | None:
    """The address that the phone shall fetch; nothing here ever does. Raises Invalid."""
    url = parameters.get("url_media")
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if valid and len(url) <= MAX_URL_CHARS and _URL.fullmatch(url):
        return url
    raise Invalid(f"url_media is an https URL of at most {MAX_URL_CHARS} characters.", code="invalid_url_media")


def _refuse_unbuilt(parameters: Parameters) -> None:
    """What this gateway cannot do yet is refused, never done halfway. Raises Invalid, Refused."""
    if flag(parameters, "encrypt_message"):
        raise Refused("Encrypted messages are not built yet.", code="encrypt_message_not_supported")
    if flag(parameters, "shorturl"):
        raise Refused("Shortening of URLs is not built yet.", code="shorturl_not_supported")
