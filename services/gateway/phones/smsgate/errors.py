"""Errors as the app's own server writes them: a status that the app heeds, and a body that it only logs. Pure."""

from typing import Final

import msgspec

from services.gateway.asgi import JSON_TYPE, Headers, Reply
from services.gateway.errors import (
    BadToken,
    MethodNotAllowed,
    NoCredential,
    RateLimited,
    RequestTimeout,
    RequestTooLarge,
)
from shared.errors import Invalid, NotFound, SmsFleetError, StaleSession, Unavailable


class NoRoute(SmsFleetError):
    """There is no such endpoint here."""

    code = "not_found"


class OtherDevice(SmsFleetError):
    """The credential belongs to another device."""

    code = "other_device"


class BadSignature(SmsFleetError):
    """The signature is missing or wrong."""

    code = "bad_signature"


class NotOffered(SmsFleetError):
    """There are no accounts here that a phone could manage."""

    code = "not_implemented"


# 401 and nothing else makes the app register anew, so it stands for every token that can never be good again: also for
# that of a device which the dispatcher does not know any more.
_STATUSES: Final[dict[type[SmsFleetError], int]] = {
    NoCredential: 401,
    BadToken: 401,
    NotFound: 401,
    BadSignature: 401,
    Invalid: 400,
    OtherDevice: 403,
    NoRoute: 404,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    RequestTooLarge: 413,
    RateLimited: 429,
    NotOffered: 501,
    StaleSession: 503,
    Unavailable: 503,
}


class _Body(msgspec.Struct, frozen=True):
    message: str
    code: str


def refusal(error: Exception) -> Reply:
    """The answer to a request that failed; what is none of ours is 500."""
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
    headers: Headers = []
    if isinstance(error, (Unavailable, RateLimited)):
        headers = [(b"retry-after", str(error.retry_after_s).encode())]
    told = _Body("Something went wrong inside.", "internal")
    if isinstance(error, SmsFleetError) and status != 500:
        told = _Body(str(error), error.code)
    return answer(status, told, headers)


def answer(status: int, told: object, headers: Headers | None = None) -> Reply:
    """A JSON answer."""
    body = msgspec.json.encode(told)
    return Reply(status, [JSON_TYPE, (b"content-length", str(len(body)).encode()), *(headers or [])], body)


DONE: Final = Reply(204, [], b"")
"""It is done and there is nothing to say."""
