"""Reads OAuth2 requests: the form and how the client shows who it is (RFC 6749, 2.3.1 and 3.2). Pure."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from services.gateway.oauth.errors import OAuthError
from shared.security.secrets import digest

MAX_FIELDS: Final = 50
MAX_ID_CHARS: Final = 128

Form = dict[str, str]
"""Parameters by name; an empty one counts as left out (RFC 6749, 3.2)."""

_VISIBLE: Final = re.compile(r"[\x20-\x7e]+")
"""RFC 6749, appendix A: what a client_id and a client_secret consist of."""

_CREDENTIALS: Final = frozenset(("client_id", "client_secret", "client_assertion", "token"))


class Client(NamedTuple):
    """Who asks, by its id and the SHA-256 of its secret."""

    id: str
    secret: bytes


def read_form(query: bytes, content_type: bytes, body: bytes) -> Form:
    """The parameters of a body: a form, or a JSON object as some clients of the commercial service send it.

    Raises OAuthError (`invalid_request`).
    """
    for name, _ in _pairs(query):
        if name in _CREDENTIALS:
            raise OAuthError("invalid_request", "Credentials belong into the body or the header, not into the address.")
    kind = content_type.lower()
    pairs: Iterable[tuple[str, str]]
    if b"json" in kind or (b"form-urlencoded" not in kind and body.lstrip()[:1] == b"{"):
        pairs = _json_pairs(body)
    elif kind.startswith(b"multipart/"):
        raise OAuthError("invalid_request", "The body is application/x-www-form-urlencoded.")
    else:
        pairs = _pairs(body.strip(b"\r\n"))
    form: Form = {}
    for name, value in pairs:
        if name in form:
            raise OAuthError("invalid_request", "A parameter stands there twice.")
        form[name] = value
    return {name: value for name, value in form.items() if value}


def client_of(form: Form, authorization: bytes | None) -> Client:
    """The client by Basic authentication or by the form, never by both.

    Raises OAuthError (`invalid_client`, `invalid_request`).
    """
    if "client_assertion" in form or "client_assertion_type" in form:
        raise OAuthError("invalid_client", "Clients show a secret here, no assertion.")
    if authorization is None:
        client_id, secret = form.get("client_id"), form.get("client_secret")
        if client_id is None or secret is None:
            raise OAuthError("invalid_client", "The client's id or secret is missing.")
        return _client(client_id, secret)
    if "client_secret" in form:
        raise OAuthError("invalid_request", "The client shows its secret in two ways at once.")
    client_id, secret = _basic(authorization)
    if form.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "The client_id is not the one of the header.")
    return _client(client_id, secret)


def required(form: Form, name: str) -> str:
    """The parameter. Raises OAuthError (`invalid_request`)."""
    if name not in form:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return form[name]


def _client(client_id: str, secret: str) -> Client:
    if len(client_id) > MAX_ID_CHARS or not _VISIBLE.fullmatch(client_id) or not _VISIBLE.fullmatch(secret):
        raise OAuthError("invalid_client", "The client is unknown, or its secret is not valid.")
    return Client(client_id, digest(secret))


def _basic(authorization: bytes) -> tuple[str, str]:
    scheme, _, encoded = authorization.strip().partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise ValueError
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        if not colon:
            raise ValueError
        return _word(client_id), _word(secret)
    except (ValueError, binascii.Error) as error:
        raise OAuthError("invalid_client", "The Authorization header is no Basic authentication.") from error


def _pairs(raw: bytes) -> Iterable[tuple[str, str]]:
    if raw.count(b"&") >= MAX_FIELDS:
        raise OAuthError("invalid_request", f"There are more than {MAX_FIELDS} parameters.")
    try:
        for pair in raw.split(b"&"):
            name, _, value = pair.partition(b"=")
            if name:
                yield _word(name), _word(value)
    except UnicodeDecodeError as error:
        raise OAuthError("invalid_request", "A parameter is not valid UTF-8.") from error


def _word(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode()


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        found: Any = json.loads(body, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise OAuthError("invalid_request", "The body is no JSON object.") from error
    # An object is a tuple of pairs here, which tells it from an array and shows a name that stands there twice.
    if not isinstance(found, tuple) or len(found) > MAX_FIELDS:
        raise OAuthError("invalid_request", "The body is no JSON object.")
    if not all(isinstance(value, str) for _, value in found):
        raise OAuthError("invalid_request", "The parameters are texts.")
    return list(found)
