"""The dialect's part of the OpenAPI document, by hand: Litestar does not see what is mounted as plain ASGI. Pure."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from services.gateway.admission import MAX_TTL_S
from services.gateway.dialects.smsmobile.answers import Canceled, Deleted, Inbox, ListSendResult, Log, Sent
from services.gateway.dialects.smsmobile.errors import ErrorBody, ListErrorResult
from services.gateway.dialects.smsmobile.fields import MAX_INSTANT, MAX_OFFSET, MAX_REFERENCE_CHARS, MAX_ROWS
from services.gateway.dialects.smsmobile.phonelist import Mobiles
from services.gateway.dialects.smsmobile.sendsms import MAX_TIMESTAMP
from services.gateway.dialects.smsmobile.stubs import Calls, Synchronisation

Json = dict[str, Any]


class Parameter(NamedTuple):
    """One documented parameter; `kind` is its JSON schema."""

    name: str
    kind: Json
    about: str
    required: bool = False
    place: Literal["query", "header"] = "query"


class Operation(NamedTuple):
    """One endpoint, served with GET and POST, with and without the trailing slash."""

    path: str
    summary: str
    about: str
    parameters: Sequence[Parameter]
    answer: type[msgspec.Struct]
    lists: bool


TEXT: Final[Json] = {"type": "string"}
WHOLE: Final[Json] = {"type": "integer"}


def _choice(*values: str) -> Json:
    # An empty value counts as absent everywhere.
    return {"type": "string", "enum": [*values, ""]}


def _whole(least: int, most: int, **more: int) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most, **more}


FLAG: Final = _choice("0", "1", "no", "yes", "false", "true")
DAY: Final[Json] = {"type": "string", "format": "date"}
REFERENCE: Final[Json] = {"type": "string", "maxLength": MAX_REFERENCE_CHARS}

API_KEY: Final = Parameter("apikey", TEXT, "The account's API key; a Bearer value in Authorization will do as well.")
LIMIT: Final = Parameter("limit", _whole(1, MAX_ROWS, default=100), "Rows (our extension).")
OFFSET: Final = Parameter("offset", _whole(0, MAX_OFFSET, default=0), "Rows to skip (our extension).")
GUID: Final = Parameter("guid", TEXT, "The message's id, as its send answered it. guid_message will do as well.")
GUID_AGAIN: Final = Parameter("guid_message", TEXT, "The same as guid.")

SENDSMS: Final = Operation(
    "/sendsms/",
    "Send a message",
    "The answer means that the message is on disk and will be sent, expire or fail visibly.",
    (
        API_KEY,
        Parameter("recipients", TEXT, "One number, or up to 1,000 with commas or semicolons between.", True),
        Parameter("message", TEXT, "The text, up to 20,000 characters.", True),
        Parameter(
            "schedule_timestamp",
            _whole(0, MAX_TIMESTAMP),
            "Send at this time at the earliest: Unix seconds, at most 365 days ahead.",
        ),
        Parameter("port", _choice("1", "2"), "The SIM slot."),
        Parameter("sIdentifiant", TEXT, "The device that shall send."),
        Parameter("from", TEXT, "A tag that tells where the message comes from; no sender number."),
        Parameter("sendsms", FLAG, "0 blocks the SMS."),
        Parameter("sendwa", FLAG, "1 sends through WhatsApp, beside the SMS or, with sendsms=0, in its place."),
        Parameter("waonly", FLAG, "yes sends through WhatsApp alone."),
        Parameter("url_media", TEXT, "An https URL of a picture or file that goes with the text through WhatsApp."),
        Parameter("shorturl", FLAG, "1 is refused until it is built."),
        Parameter("encrypt_message", FLAG, "yes is refused until it is built."),
        Parameter("priority", _whole(-128, 127, default=0), "Higher goes first (our extension)."),
        Parameter("ttl", _whole(1, MAX_TTL_S), "Seconds until the message is pointless (our extension)."),
        Parameter(
            "client_ref",
            REFERENCE,
            "Send once: for 7 days the same reference answers the same id and sends nothing again (our extension).",
        ),
        Parameter("Idempotency-Key", REFERENCE, "The same as client_ref, as a header (our extension).", place="header"),
    ),
    Sent,
    False,
)
RESEND: Final = Operation(
    "/resend/",
    "Send a message again",
    "For a message that failed, expired or was canceled. It keeps its id and gets a fresh round of tries.",
    (
        API_KEY,
        GUID,
        GUID_AGAIN,
        Parameter("force", FLAG, "1: also a message of unknown outcome, which may then arrive twice (our extension)."),
    ),
    Sent,
    False,
)
CANCEL: Final = Operation(
    "/cancel/",
    "Take a message back (our extension)",
    "For a message that no phone has taken; too_late for any other.",
    (API_KEY, GUID, GUID_AGAIN),
    Canceled,
    False,
)
DELETE: Final = Operation(
    "/deletesms/",
    "Delete messages from the logs",
    "Sent and received ones. A sent message that no phone has taken is canceled too; phones keep what they have.",
    (
        API_KEY,
        Parameter("guid_message", TEXT, "One message, sent or received."),
        Parameter("date_start", DAY, "All messages of this day, in the account's time zone."),
        Parameter("date_end", DAY, "With date_start: up to and including this day."),
    ),
    Deleted,
    False,
)
SENT_LOG: Final = Operation(
    "/log/sent/sms/",
    "List sent messages",
    "Newest first. A message stands here as soon as its send was answered.",
    (
        API_KEY,
        Parameter("guid_message", TEXT, "The id of one message."),
        Parameter("keyword", TEXT, "What the text or the recipient contains."),
        Parameter(
            "before",
            {"anyOf": [_whole(0, MAX_INSTANT), {"type": "string", "pattern": "^[0-9a-fA-F]{40}$"}]},
            "Accepted before this time (Unix seconds) or this message (its id).",
        ),
        Parameter("error_api", FLAG, "1: only what expired, was canceled or could not be stored."),
        Parameter("error_mobile", FLAG, "1: only what failed on a phone or has an unknown outcome for good."),
        LIMIT,
        OFFSET,
    ),
    Log,
    True,
)
RECEIVED: Final = Operation(
    "/getsms/",
    "List received texts",
    "Newest first. What an onlyunread=yes call returned is read from then on.",
    (
        API_KEY,
        Parameter("onlyunread", FLAG, "yes: only what no such call has returned yet."),
        Parameter("sIdentifiantPhone", TEXT, "The device that received."),
        Parameter("after_timestamp_unix", _whole(0, MAX_INSTANT), "Received after this time, Unix seconds."),
        Parameter("after_unix", _whole(0, MAX_INSTANT), "The same."),
        Parameter("after", _whole(0, MAX_INSTANT), "The same."),
        LIMIT,
        OFFSET,
    ),
    Inbox,
    True,
)
PHONES: Final = Operation(
    "/gateway/mobile/list/",
    "List the account's phones",
    "In order of enrolment, online or not.",
    (
        API_KEY,
        Parameter("sid", TEXT, "The phone with this id."),
        Parameter("search", TEXT, "What the id, the label, the version or the date contains."),
    ),
    Mobiles,
    False,
)
CALLS: Final = tuple(
    Operation(
        f"/call/{kind}/list/",
        f"List {kind} calls",
        "No phone reports calls yet.",
        (API_KEY, LIMIT, OFFSET),
        Calls,
        False,
    )
    for kind in ("missed", "incoming", "outgoing")
)
SYNCHRONISATION: Final = Operation(
    "/getwa/synchronisation/",
    "Fetch received WhatsApp messages",
    "No phone reports them yet, so there is nothing to fetch.",
    (API_KEY,),
    Synchronisation,
    False,
)
OPERATIONS: Final = (SENDSMS, RESEND, CANCEL, DELETE, SENT_LOG, RECEIVED, PHONES, *CALLS, SYNCHRONISATION)

_ERRORS: Final = {
    "400": "A parameter is missing or wrong.",
    "403": "The key is missing or not valid, or the account is suspended.",
    "405": "Neither GET nor POST.",
    "408": "The body did not arrive in time.",
    "413": "The request is larger than 256 KiB.",
    "422": "The same idempotency key came with other content before.",
    "429": "The key has made too many requests; Retry-After says when to come back.",
    "500": "Something went wrong inside.",
    "503": "A part of the system is away; Retry-After says when to come back.",
}
_RETRY: Final = {"Retry-After": {"schema": WHOLE, "description": "Seconds."}}


class _ListError(msgspec.Struct, frozen=True):
    """The error body of endpoints that list."""

    error: int | str
    message: str
    result: ListErrorResult


class _ListSent(msgspec.Struct, frozen=True):
    """The answer to a send to several recipients."""

    result: ListSendResult


def paths() -> Json:
    """The `paths` of the OpenAPI document."""
    found: Json = {}
    for operation in OPERATIONS:
        for path in (operation.path, operation.path.rstrip("/")):
            found[path] = {
                "get": _described(operation, path, "get"),
                "post": _described(operation, path, "post"),
            }
    return found


def schemas() -> Json:
    """The schemas that `paths` refers to."""
    kinds = (*(operation.answer for operation in OPERATIONS), ErrorBody, _ListError, _ListSent)
    _, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return components


def _described(operation: Operation, path: str, method: Literal["get", "post"]) -> Json:
    words = [word for word in path.split("/") if word]
    error = _ListError if operation.lists else ErrorBody
    success = [operation.answer, _ListSent] if operation.answer is Sent else [operation.answer]
    described: Json = {
        "operationId": "_".join([method, *words]) + ("_" if path.endswith("/") else ""),
        "tags": ["SMSMobileAPI"],
        "summary": operation.summary,
        "description": operation.about,
        "parameters": [_parameter(parameter, method) for parameter in operation.parameters],
        "responses": {
            "200": _content("Done, or an application error inside `result`.", *success, error),
            **{
                status: _content(about, error) | ({"headers": _RETRY} if status in ("429", "503") else {})
                for status, about in _ERRORS.items()
                if status != "422" or operation is SENDSMS
            },
        },
        "security": [{}, {"bearer": []}],
    }
    if method == "post":
        form = {
            "type": "object",
            "properties": {
                p.name: p.kind | {"description": p.about} for p in operation.parameters if p.place == "query"
            },
        }
        described["requestBody"] = {
            "description": "Merged with the query; the body wins.",
            "content": {
                kind: {"schema": form}
                for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
            },
        }
    return described


def _parameter(parameter: Parameter, method: str) -> Json:
    # A POST may have its required parameters in the body instead.
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required and method == "get",
        "description": parameter.about,
        "schema": parameter.kind,
    }


def _content(about: str, *kinds: type[msgspec.Struct]) -> Json:
    references = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"description": about, "content": {"application/json": {"schema": schema}}}
