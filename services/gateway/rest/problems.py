"""Errors as RFC 9457 writes them, with the challenges of RFC 6750. Pure."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from services.gateway.errors import (
    BadKey,
    BadToken,
    KeyReused,
    MissingScope,
    NoCredential,
    RateLimited,
    RequestTimeout,
    RequestTooLarge,
)
from shared.errors import Conflict, Forbidden, Invalid, NotFound, SmsFleetError, Unavailable

MEDIA_TYPE: Final = "application/problem+json"
REALM: Final = "smsfleet"
MAX_DETAIL_CHARS: Final = 300
"""What is said of a faulty body, which may hold anything."""

_BODY: Final = "data"
"""The framework's word for the body."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457, 3: `title` says what its status says; `code` is ours and names the error for programs."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


_encode = msgspec.json.Encoder().encode

_STATUSES: Final[dict[type[SmsFleetError], int]] = {
    NoCredential: 401,
    BadKey: 401,
    BadToken: 401,
    Forbidden: 403,
    NotFound: 404,
    RequestTimeout: 408,
    Conflict: 409,
    RequestTooLarge: 413,
    Invalid: 400,
    KeyReused: 422,
    RateLimited: 429,
    Unavailable: 503,
}

_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
"""What the framework's own errors are called."""


def problem(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to a request that failed with `error`; what is neither ours nor the framework's is 500."""
    match error:
        case SmsFleetError() if (status := _status(error)) is not None:
            return _response(status, error.code, str(error), _headers(error))
        case ValidationException():
            return _response(400, "invalid", _first(error))
        case HTTPException() if error.status_code < 500:
            kept = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
            text = "There is no such route." if error.status_code == 404 else error.detail
            return _response(error.status_code, _CODES.get(error.status_code, "invalid"), text, kept)
    return _response(500, "internal", "Something went wrong inside.")


def _status(error: SmsFleetError) -> int | None:
    return next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), None)


def _headers(error: SmsFleetError) -> dict[str, str]:
    match error:
        case NoCredential():
            # RFC 6750, 3.1: whoever showed nothing is not told an error.
            return {"WWW-Authenticate": f'Bearer realm="{REALM}"'}
        case BadKey() | BadToken():
            return {"WWW-Authenticate": f'Bearer realm="{REALM}", error="invalid_token"'}
        case MissingScope():
            challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{error.scope}"'
            return {"WWW-Authenticate": challenge}
        case RateLimited() | Unavailable():
            return {"Retry-After": str(error.retry_after_s)}
    return {}


def _first(error: ValidationException) -> str:
    """What is wrong with the first field that is."""
    found = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    place, fault = found.get("key", _BODY), found.get("message", error.detail)
    if place == _BODY:
        return f"body: {'It is missing.' if fault == repr(_BODY) else fault}"[:MAX_DETAIL_CHARS]
    return f"{place}: {fault}"[:MAX_DETAIL_CHARS]


def _response(status: int, code: str, text: str, headers: dict[str, str] | None = None) -> Response[bytes]:
    told = Problem(title=HTTPStatus(status).phrase, status=status, detail=text, code=code)
    return Response(_encode(told), status_code=status, media_type=MEDIA_TYPE, headers=headers or {})
