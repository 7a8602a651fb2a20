"""What Litestar does not put into the OpenAPI document by itself: the errors and the credentials of /v1. Pure."""

from typing import Any, Final

import msgspec
from litestar.openapi import ResponseSpec

from services.gateway.rest.problems import MEDIA_TYPE, Problem
from services.gateway.rest.routes import PREFIX

Json = dict[str, Any]

_ERRORS: Final = {
    "400": "A parameter or the body is wrong.",
    "401": "The key or token is missing or not valid.",
    "403": "The key or token lacks the scope, or the account is suspended.",
    "404": "The account has no such thing.",
    "405": "The route has no such method.",
    "408": "The body did not arrive in time.",
    "409": "It is not in a state that allows this; `code` says why.",
    "413": "The request is larger than 256 KiB.",
    "429": "The key has made too many requests; Retry-After says when to come back.",
    "500": "Something went wrong inside.",
    "503": "A part of the system is away; Retry-After says when to come back.",
}
_SOME: Final = frozenset({"404", "409"})
"""What not every operation answers: a handler names them in its `responses`."""

NO_SUCH: Final = {404: ResponseSpec(None, generate_examples=False, description=_ERRORS["404"])}
CONFLICT: Final = {409: ResponseSpec(None, generate_examples=False, description=_ERRORS["409"])}
_CHALLENGE: Final = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750, section 3."}}
_RETRY: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_HEADERS: Final = {"401": _CHALLENGE, "429": _RETRY, "503": _RETRY}


def completed(paths: Json) -> Json:
    """These paths, in which each operation of /v1 says its errors and which credentials it takes."""
    return {
        path: {method: _completed(operation) for method, operation in item.items()} if path.startswith(PREFIX) else item
        for path, item in paths.items()
    }


def schemas() -> Json:
    """The schemas that `completed` refers to."""
    _, components = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    return components


def _completed(operation: Json) -> Json:
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    errors = {
        status: {"description": about, "content": content, "headers": _HEADERS.get(status, {})}
        for status, about in _ERRORS.items()
        if status not in _SOME or status in operation["responses"]
    }
    return operation | {
        "responses": operation["responses"] | errors,
        "security": [{"bearer": []}, {"apikey": []}],
        **({"requestBody": body | {"required": not _may_miss(body)}} if (body := operation.get("requestBody")) else {}),
    }


def _may_miss(body: Json) -> bool:
    """Whether the handler has a default for its body, which Litestar does not look at."""
    return any({"type": "null"} in media["schema"].get("oneOf", []) for media in body["content"].values())
