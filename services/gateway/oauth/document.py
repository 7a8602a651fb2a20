"""The OAuth2 part of the OpenAPI document, by hand: Litestar does not see what is mounted as plain ASGI. Pure."""

from typing import Any, Final

import msgspec

from services.gateway.oauth.errors import ErrorBody
from services.gateway.oauth.forms import MAX_ID_CHARS
from services.gateway.oauth.grants import GRANT_TYPE, ActiveToken, InactiveToken, TokenAnswer
from services.gateway.oauth.metadata import INTROSPECT, JWKS, REVOKE, TOKEN, KeySet, Metadata, well_known_paths

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_RETRY: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_CLIENT: Final[Json] = {
    "client_id": _TEXT | {"maxLength": MAX_ID_CHARS, "description": "The client, unless Basic authentication says it."},
    "client_secret": _TEXT | {"description": "Its secret, likewise."},
}
_FORMS: Final[dict[str, tuple[str, str, Json, list[str]]]] = {
    TOKEN: (
        "Get an access token",
        "RFC 6749, section 4.4.",
        {
            "grant_type": {"type": "string", "enum": [GRANT_TYPE], "description": "How the token is come by."},
            "scope": _TEXT | {"description": "Scopes with blanks between; without it all that the client has."},
        },
        ["grant_type"],
    ),
    INTROSPECT: (
        "Ask what a token is worth",
        "RFC 7662. A token of another account is not active.",
        {"token": _TEXT | {"description": "The token."}, "token_type_hint": _TEXT | {"description": "Ignored."}},
        ["token"],
    ),
    REVOKE: (
        "End a token",
        "RFC 7009. 200 also for a token that is unknown or another client's.",
        {"token": _TEXT | {"description": "The token."}, "token_type_hint": _TEXT | {"description": "Ignored."}},
        ["token"],
    ),
}
_ANSWERS: Final[dict[str, tuple[type[msgspec.Struct], ...]]] = {
    TOKEN: (TokenAnswer,),
    INTROSPECT: (ActiveToken, InactiveToken),
    REVOKE: (),
}
_ERRORS: Final = {
    "400": "A parameter is missing, wrong or stands there twice, or the client may not do this.",
    "401": "The client is unknown, or its secret is not valid.",
    "405": "Not POST.",
    "408": "The body did not arrive in time.",
    "413": "The request is larger than 256 KiB.",
    "429": "There were too many requests; Retry-After says when to come back.",
    "500": "Something went wrong inside.",
    "503": "The auth service is away; Retry-After says when to come back.",
}


def paths(issuer: str) -> Json:
    """The `paths` of the OpenAPI document, for the server with this address."""
    found: Json = {
        spelling: {"post": _form_operation(path, spelling)} for path in _FORMS for spelling in (path, f"{path}/")
    }
    for path in well_known_paths(issuer):
        found[path] = {"get": _document_operation(path, "Show the authorization server's metadata", Metadata)}
    found[JWKS] = {"get": _document_operation(JWKS, "Show the keys that verify access tokens", KeySet)}
    return found


def schemas() -> Json:
    """The schemas that `paths` refers to."""
    kinds = (TokenAnswer, ActiveToken, InactiveToken, Metadata, KeySet, _OAuthError)
    _, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return components


class _OAuthError(ErrorBody, frozen=True):
    """The error body of RFC 6749, 5.2, under a name of its own."""


def _form_operation(path: str, spelling: str) -> Json:
    summary, about, fields, required = _FORMS[path]
    form = {"type": "object", "properties": fields | _CLIENT, "required": required}
    done: Json = {"description": "Done."}
    if _ANSWERS[path]:
        done = _content("Done.", *_ANSWERS[path])
    return {
        "operationId": _name("post", spelling),
        "tags": ["OAuth2"],
        "summary": summary,
        "description": about,
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": form} for kind in ("application/x-www-form-urlencoded", "application/json")},
        },
        "responses": {
            "200": done,
            **{
                status: _content(text, _OAuthError) | ({"headers": _RETRY} if status in ("429", "503") else {})
                for status, text in _ERRORS.items()
            },
        },
        "security": [{}, {"basic": []}],
    }


def _document_operation(path: str, summary: str, kind: type[msgspec.Struct]) -> Json:
    return {
        "operationId": _name("get", path),
        "tags": ["OAuth2"],
        "summary": summary,
        "responses": {
            "200": _content("The document.", kind),
            "405": _content("Not GET.", _OAuthError),
            "503": _content("The auth service is away.", _OAuthError) | {"headers": _RETRY},
        },
        "security": [],
    }


def _name(method: str, path: str) -> str:
    words = path.replace(".", "_").replace("-", "_").split("/")
    return "_".join([method, *(word for word in words if word)]) + ("_" if path.endswith("/") else "")


def _content(about: str, *kinds: type[msgspec.Struct]) -> Json:
    references = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"description": about, "content": {"application/json": {"schema": schema}}}
