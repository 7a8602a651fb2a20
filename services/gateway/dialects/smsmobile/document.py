"""The dialect's part of the OpenAPI document, by hand: Litestar does not see what is mounted as plain ASGI. Pure."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from services.gateway.dialects.smsmobile.answers import Inbox, ListSendResult, Log, Sent
from services.gateway.dialects.smsmobile.errors import ErrorBody, ListErrorResult

Json = dict[str, Any]


class Parameter(NamedTuple):
    """One documented parameter; `kind` is its JSON schema."""

    name: str
    kind: Json
    about: str
    required: bool = False


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


API_KEY: Final = Parameter("apikey", TEXT, "The account's API key; a Bearer value in Authorization will do as well.")
LIMIT: Final = Parameter("limit", WHOLE | {"minimum": 1, "maximum": 1000, "default": 100}, "Rows (our extension).")
OFFSET: Final = Parameter("offset", WHOLE | {"minimum": 0, "default": 0}, "Rows to skip (our extension).")

SENDSMS: Final = Operation(
    "/sendsms/",
    "Send an SMS",
    "The answer means that the message is on disk and will be sent, expire or fail visibly.",
    (
        API_KEY,
        Parameter("recipients", TEXT, "One number, or up to 1,000 with commas or semicolons between.", True),
        Parameter("message", TEXT, "The text, up to 20,000 characters.", True),
        Parameter(
            "schedule_timestamp", WHOLE, "Send at this time at the earliest: Unix seconds, at most 365 days ahead."
        ),
        Parameter("port", _choice("1", "2"), "The SIM slot."),
        Parameter("sIdentifiant", TEXT, "The device that shall send."),
        Parameter("from", TEXT, "A tag that tells where the message comes from; no sender number."),
        Parameter("sendsms", _choice("0", "1"), "0 blocks the SMS."),
        Parameter("sendwa", _choice("0", "1"), "1 asks for WhatsApp, which no phone serves yet."),
        Parameter("waonly", _choice("yes"), "yes asks for WhatsApp alone, which no phone serves yet."),
        Parameter("shorturl", _choice("0", "1"), "1 is refused until it is built."),
        Parameter("encrypt_message", _choice("yes"), "yes is refused until it is built."),
        Parameter(
            "priority", WHOLE | {"minimum": -128, "maximum": 127, "default": 0}, "Higher goes first (our extension)."
        ),
        Parameter("ttl", WHOLE | {"minimum": 1}, "Seconds until the message is pointless (our extension)."),
    ),
    Sent,
    False,
)
SENT_LOG: Final = Operation(
    "/log/sent/sms/",
    "List sent messages",
    "Newest first. A message stands here as soon as its send was answered.",
    (API_KEY, Parameter("guid_message", TEXT, "The id of one message."), LIMIT, OFFSET),
    Log,
    True,
)
RECEIVED: Final = Operation(
    "/getsms/",
    "List received texts",
    "Newest first. What an onlyunread=yes call returned is read from then on.",
    (
        API_KEY,
        Parameter("onlyunread", _choice("yes", "no"), "yes: only what no such call has returned yet."),
        Parameter("sIdentifiantPhone", TEXT, "The device that received."),
        Parameter("after_timestamp_unix", WHOLE, "Received after this time, Unix seconds."),
        LIMIT,
        OFFSET,
    ),
    Inbox,
    True,
)
OPERATIONS: Final = (SENDSMS, SENT_LOG, RECEIVED)

_ERRORS: Final = {
    "400": "A parameter is missing or wrong.",
    "403": "The key is missing or not valid, or the account is suspended.",
    "405": "Neither GET nor POST.",
    "408": "The body did not arrive in time.",
    "413": "The request is larger than 256 KiB.",
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
                status: _content(about, error) | ({"headers": _RETRY} if status == "503" else {})
                for status, about in _ERRORS.items()
            },
        },
        "security": [{}, {"bearer": []}],
    }
    if method == "post":
        form = {
            "type": "object",
            "properties": {p.name: p.kind | {"description": p.about} for p in operation.parameters},
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
        "in": "query",
        "required": parameter.required and method == "get",
        "description": parameter.about,
        "schema": parameter.kind,
    }


def _content(about: str, *kinds: type[msgspec.Struct]) -> Json:
    references = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"description": about, "content": {"application/json": {"schema": schema}}}
