"""What an endpoint's owner may choose: each rule with its own error code. Pure but for the look at time zones."""

import base64
import binascii
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from services.webhooks.breaker import LARGEST_WINDOW
from services.webhooks.examples import EXAMPLES
from services.webhooks.formats import ALL_TYPES, CLASSIC_TYPES
from services.webhooks.store.events import Cursor
from shared.contracts.rpc.webhooks import BasicAuth, BearerAuth, ClassicSettings, Filter
from shared.errors import Invalid
from shared.model.storable import is_storable

MAX_DESCRIPTION_CHARS: Final = 256
MAX_REASON_CHARS: Final = 256
MAX_FILTER_ENTRIES: Final = 100
MAX_HEADERS: Final = 20
MAX_HEADER_CHARS: Final = 4096
MAX_CREDENTIAL_CHARS: Final = 4096
MAX_OVERLAP_S: Final = 7 * 86_400
MAX_REPLAYED_IDS: Final = 1000

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OURS: Final = frozenset(
    {
        "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
        "content-type", "cookie", "date", "expect", "host", "idempotency-key", "keep-alive", "proxy-authorization",
        "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
    }
)  # fmt: skip
_OURS_BEGIN: Final = ("webhook-", "x-smsmobileapi-", "proxy-", "sec-")


def description(text: str) -> str:
    """Without blanks around it. Raises Invalid (`invalid_description`)."""
    text = text.strip()
    if len(text) > MAX_DESCRIPTION_CHARS or not is_storable(text):
        raise Invalid(f"A description has at most {MAX_DESCRIPTION_CHARS} characters.", code="invalid_description")
    return text


def reason(text: str) -> str:
    """Why it is paused. Raises Invalid (`invalid_reason`)."""
    text = text.strip()
    if len(text) > MAX_REASON_CHARS or not is_storable(text):
        raise Invalid(f"A reason has at most {MAX_REASON_CHARS} characters.", code="invalid_reason")
    return text


def filter(wanted: Filter, format: str) -> Filter:
    """The filter, without repetitions. Raises Invalid (`invalid_filter`)."""
    known = CLASSIC_TYPES if format == "classic" else ALL_TYPES
    if unknown := [type for type in wanted.types if type not in known]:
        raise Invalid(
            f"The {format} format has no event type {unknown[0][:64]!r}; it has {', '.join(known)}.",
            code="invalid_filter",
        )
    texts = [*wanted.devices, *wanted.numbers]
    if any(len(each) > 64 or not is_storable(each) for each in texts):
        raise Invalid("A device or number of a filter is no such thing.", code="invalid_filter")
    if any(not 1 <= sim <= 8 for sim in wanted.sims):
        raise Invalid("SIM slots count from 1 to 8.", code="invalid_filter")
    lists = (wanted.types, wanted.devices, wanted.sims, wanted.numbers)
    if any(len(each) > MAX_FILTER_ENTRIES for each in lists):
        raise Invalid(f"A list of a filter has at most {MAX_FILTER_ENTRIES} entries.", code="invalid_filter")
    return Filter(
        types=list(dict.fromkeys(wanted.types)),
        devices=list(dict.fromkeys(wanted.devices)),
        sims=list(dict.fromkeys(wanted.sims)),
        numbers=list(dict.fromkeys(wanted.numbers)),
    )


def classic(settings: ClassicSettings) -> ClassicSettings:
    """The settings. Raises Invalid (`invalid_classic`) for a time zone that there is not."""
    if settings.time_zone is not None:
        try:
            ZoneInfo(settings.time_zone)
        except (ValueError, OSError, KeyError):
            raise Invalid(
                "There is no such time zone; write one such as Europe/Berlin.", code="invalid_classic"
            ) from None
    return settings


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """The custom headers. Raises Invalid (`invalid_headers`) for what would change the meaning of a request."""
    if len(given) > MAX_HEADERS:
        raise Invalid(f"There are at most {MAX_HEADERS} headers.", code="invalid_headers")
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name):
            raise Invalid("A header's name has letters, digits and hyphens.", code="invalid_headers")
        if name.lower() in _OURS or name.lower().startswith(_OURS_BEGIN):
            raise Invalid(f"The header {name} is not for custom values.", code="invalid_headers")
        if len(value) > MAX_HEADER_CHARS or not value.isascii() or not value.isprintable():
            raise Invalid(f"The value of the header {name} is not printable ASCII.", code="invalid_headers")
    if len({name.lower() for name in given}) < len(given):
        raise Invalid("A header is given twice.", code="invalid_headers")
    return dict(given)


def auth(given: BasicAuth | BearerAuth | None) -> BasicAuth | BearerAuth | None:
    """How we prove ourselves to the receiver. Raises Invalid (`invalid_auth`)."""
    match given:
        case BasicAuth(user=user, password=password):
            texts, fine = [user, password], ":" not in user and user != ""
        case BearerAuth(token=token):
            texts, fine = [token], re.fullmatch(r"[A-Za-z0-9._~+/=-]+", token) is not None
        case None:
            return None
    if not fine or any(len(text) > MAX_CREDENTIAL_CHARS or not text.isprintable() for text in texts):
        raise Invalid("The user, password or token cannot be sent as it is.", code="invalid_auth")
    return given


def secret(text: str) -> str:
    """A signing secret that its owner chose. Raises Invalid (`invalid_secret`)."""
    if text.startswith("whsec_"):
        try:
            fine = 24 <= len(base64.b64decode(text.removeprefix("whsec_"), validate=True)) <= 64
        except (binascii.Error, ValueError):
            fine = False
    else:
        fine = 16 <= len(text) <= 128 and text.isascii() and text.isprintable()
    if not fine:
        raise Invalid(
            "A secret is whsec_ and base64 of 24 to 64 bytes, or 16 to 128 printable ASCII characters.",
            code="invalid_secret",
        )
    return text


def window(places: int) -> int:
    """The largest window. Raises Invalid (`invalid_window`)."""
    if not 1 <= places <= LARGEST_WINDOW:
        raise Invalid(f"A window has 1 to {LARGEST_WINDOW} places.", code="invalid_window")
    return places


def overlap(seconds: int) -> int:
    """How long older secrets go on signing. Raises Invalid (`invalid_overlap`)."""
    if not 0 <= seconds <= MAX_OVERLAP_S:
        raise Invalid(f"Secrets overlap for 0 to {MAX_OVERLAP_S} seconds.", code="invalid_overlap")
    return seconds


def example_type(type: str, format: str) -> str:
    """The type of the example that is sent. Raises Invalid (`invalid_event_type`)."""
    known = CLASSIC_TYPES if format == "classic" else tuple(EXAMPLES)
    if type == "ping":
        return "sms.received"
    if type not in known:
        raise Invalid(f"There is no example of that type; there are {', '.join(known)}.", code="invalid_event_type")
    return type


def event_ids(ids: Sequence[str]) -> list[str]:
    """Events of a replay. Raises Invalid (`invalid_replay`)."""
    try:
        found = [str(uuid.UUID(each)) for each in ids]
    except ValueError:
        raise Invalid("An event's id is a UUID.", code="invalid_replay") from None
    if len(found) > MAX_REPLAYED_IDS:
        raise Invalid(f"A replay names at most {MAX_REPLAYED_IDS} events; choose a span.", code="invalid_replay")
    return found


def moment(at: float | None) -> float | None:
    """A moment of a span. Raises Invalid (`invalid_replay`) for one that no calendar has."""
    if at is not None and not 0 <= at < 4e10:
        raise Invalid("A moment is Unix seconds.", code="invalid_replay")
    return at


def kept_types(types: Sequence[str], code: str) -> list[str]:
    """The types as they are kept: WhatsApp's are those of SMS. Raises Invalid with this code for an unknown one."""
    if any(type not in ALL_TYPES for type in types):
        raise Invalid(f"The event types are {', '.join(ALL_TYPES)}.", code=code)
    return list(dict.fromkeys(_KEPT_AS.get(type, type) for type in types))


_KEPT_AS: Final = {
    "whatsapp.submitted": "sms.api.submitted",
    "whatsapp.sent": "sms.sent",
    "whatsapp.delivered": "sms.delivered",
    "whatsapp.failed": "sms.failed",
    "whatsapp.received": "sms.received",
}


def cursor(text: str | None) -> Cursor:
    """A reader's place. Raises Invalid (`invalid_cursor`)."""
    if text is None:
        return Cursor()
    found = re.fullmatch(r"([0-9]{1,18})\.([0-9]{1,18})", text)
    if not found:
        raise Invalid("The cursor is not one of ours.", code="invalid_cursor")
    return Cursor(int(found[1]), int(found[2]))


def limit(count: int, most: int) -> int:
    """How many of a list. Raises Invalid (`invalid_limit`)."""
    if not 1 <= count <= most:
        raise Invalid(f"A limit is 1 to {most}.", code="invalid_limit")
    return count
