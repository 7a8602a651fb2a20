"""Every error in both documented shapes at once, with its real status (contract: SMSMobileAPI section 1.2). Pure."""

from typing import Final

import msgspec

from services.gateway.asgi import JSON_TYPE, Headers, Reply
from services.gateway.errors import (
    BadToken,
    KeyReused,
    MethodNotAllowed,
    NoChannel,
    NoDevice,
    RateLimited,
    RequestTimeout,
    RequestTooLarge,
    Suspended,
)
from shared.errors import Conflict, Forbidden, Invalid, NotFound, SmsFleetError, Unavailable

BAD_KEY: Final = 1
NO_DEVICE: Final = 2
SUSPENDED: Final = "subscription_expire"
NOT_CONNECTED: Final = "whatsapp_not_connected"


class Refused(SmsFleetError):
    """The request is understood and cannot be served: an application error, answered with status 200."""

    def __init__(self, message: str, *, code: str) -> None:
        """`code` is what `result.error` says."""
        super().__init__(message)
        self.code = code


class ErrorResult(msgspec.Struct, frozen=True):
    """The part that the older clients read."""

    error: int | str
    note: str
    sent: str = "no"
    id: None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """The documented error body: the newer shape on top, the older one inside `result`."""

    error: int | str
    message: str
    result: ErrorResult


class ListErrorResult(ErrorResult, frozen=True):
    """The same for endpoints that list: their clients want an array whatever happens."""

    sms: list[None] = msgspec.field(default_factory=list)


_STATUS_CODES: Final[dict[int, int | str]] = {
    400: "bad_request",
    403: BAD_KEY,
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    500: "internal",
    503: "unavailable",
}

_encode = msgspec.json.Encoder().encode


def answer_to(error: Exception, *, lists: bool = False) -> Reply:
    """The answer to a request that failed with `error`; what is not one of ours is "internal", 500."""
    match error:
        case Suspended():
            return framed(403, SUSPENDED, str(error), lists=lists)
        case BadToken():
            challenge = (b"www-authenticate", b'Bearer error="invalid_token"')
            return framed(403, BAD_KEY, str(error), [challenge], lists=lists)
        case Forbidden():
            return framed(403, BAD_KEY, str(error), lists=lists)
        case NoDevice():
            return framed(200, NO_DEVICE, str(error), lists=lists)
        case NoChannel():
            return framed(200, NOT_CONNECTED, str(error), lists=lists)
        case Refused() | NotFound() | Conflict():
            return framed(200, error.code, str(error), lists=lists)
        case RequestTooLarge():
            return framed(413, error.code, str(error), lists=lists)
        case RequestTimeout():
            return framed(408, error.code, str(error), [(b"connection", b"close")], lists=lists)
        case MethodNotAllowed():
            return framed(405, error.code, str(error), [(b"allow", b"GET, POST")], lists=lists)
        case Invalid():
            return framed(400, error.code, str(error), lists=lists)
        case KeyReused():
            return framed(422, error.code, str(error), lists=lists)
        case RateLimited() | Unavailable():
            status = 429 if isinstance(error, RateLimited) else 503
            retry = [(b"retry-after", str(error.retry_after_s).encode())]
            return framed(status, error.code, str(error), retry, lists=lists)
    return framed(500, "internal", "Something went wrong inside.", lists=lists)


def answer_to_status(status: int, text: str, headers: Headers | None = None) -> Reply:
    """The answer to an error that the web framework found (404, 405, 413, 415, 429, 500, ...)."""
    return framed(status, _STATUS_CODES.get(status, "bad_request"), text, headers or [])


def framed(status: int, code: int | str, text: str, headers: Headers | None = None, *, lists: bool = False) -> Reply:
    """One error in both shapes; `lists` adds the empty array that list clients want."""
    kind = ListErrorResult if lists else ErrorResult
    body = _encode(ErrorBody(code, text, kind(code, text)))
    return Reply(status, [JSON_TYPE, (b"content-length", str(len(body)).encode()), *(headers or [])], body)
