"""The errors of the OAuth2 endpoints in the form of RFC 6749, section 5.2. Pure."""

from typing import Any, Final, Literal

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from services.gateway.asgi import JSON_TYPE, Headers, Reply
from services.gateway.errors import MethodNotAllowed, RateLimited, RequestTimeout, RequestTooLarge
from shared.errors import SmsFleetError, Unavailable

REALM: Final = "smsfleet"

NO_STORE: Final = (b"cache-control", b"no-store")
_ALWAYS: Final[Headers] = [JSON_TYPE, NO_STORE, (b"pragma", b"no-cache")]
"""What every answer about a credential carries (RFC 6749, 5.1)."""

_CHALLENGE: Final = (b"www-authenticate", f'Basic realm="{REALM}"'.encode())

Code = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
]


class OAuthError(SmsFleetError):
    """The request is refused as RFC 6749 says."""

    def __init__(self, code: Code, message: str) -> None:
        """`code` is what `error` says."""
        super().__init__(message)
        self.code = code


class ErrorBody(msgspec.Struct, frozen=True):
    """RFC 6749, 5.2, also for what that section has no word for (429, 503, 500)."""

    error: str
    error_description: str


_encode = msgspec.json.Encoder().encode

_REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "invalid_client": (401, "The client is unknown, or its secret is not valid."),
    "invalid_scope": (400, "The client may not have every scope that it asks for."),
    "unauthorized_client": (400, "The client's account is suspended."),
}
"""What auth refuses, by its code."""


def answer_to(error: Exception) -> Reply:
    """The answer to a request that failed with `error`; what is not one of ours is `server_error`, 500."""
    match error:
        case OAuthError():
            return _framed(401 if error.code == "invalid_client" else 400, error.code, str(error))
        case MethodNotAllowed():
            return _framed(405, "invalid_request", "Only POST is served here.", [(b"allow", b"POST")])
        case RequestTooLarge():
            return _framed(413, "invalid_request", str(error))
        case RequestTimeout():
            return _framed(408, "invalid_request", str(error), [(b"connection", b"close")])
        case RateLimited():
            return _framed(429, error.code, "There were too many requests.", _retry(error.retry_after_s))
        case Unavailable():
            return _framed(503, "temporarily_unavailable", str(error), _retry(error.retry_after_s))
        case SmsFleetError() if error.code in _REFUSALS:
            status, text = _REFUSALS[error.code]
            return _framed(status, error.code, text)
    return _framed(500, "server_error", "Something went wrong inside.")


def framework_error(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to an error that the framework raised itself: unknown path, its own failures."""
    unknown = isinstance(error, HTTPException) and error.status_code == 404
    reply = _framed(404, "invalid_request", "There is no such endpoint here.") if unknown else answer_to(error)
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, status_code=reply.status, headers=headers, media_type=headers["content-type"])


def _retry(seconds: int) -> Headers:
    return [(b"retry-after", str(seconds).encode())]


def _framed(status: int, code: str, text: str, headers: Headers | None = None) -> Reply:
    more = [*(headers or []), *([_CHALLENGE] if status == 401 else [])]
    return framed(status, ErrorBody(code, text), more)


def framed(status: int, told: msgspec.Struct, headers: Headers | None = None) -> Reply:
    """An answer that nobody may keep."""
    body = _encode(told)
    return Reply(status, [*_ALWAYS, (b"content-length", str(len(body)).encode()), *(headers or [])], body)
