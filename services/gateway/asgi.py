"""What every route that is a plain ASGI handler shares: the types, reading a body within limits, sending an answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from services.gateway.errors import RequestTimeout, RequestTooLarge
from shared.model.storable import MAX_BODY_BYTES

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON_TYPE: Final = (b"content-type", b"application/json; charset=utf-8")

BODY_DEADLINE_S: Final = 20.0
"""How long a caller may take to send its body, in seconds."""

_TOO_SLOW: Final = "the body did not arrive in time"


class Reply(NamedTuple):
    """What goes over the wire."""

    status: int
    headers: Headers
    body: bytes


class Gone(Exception):
    """The caller hung up before its request was whole."""


def check_size(query: bytes, headers: Mapping[bytes, bytes]) -> None:
    """Refuses a request that says itself that it is larger than 256 KiB. Raises RequestTooLarge."""
    length = headers.get(b"content-length", b"0")
    if len(query) > MAX_BODY_BYTES or not length.isdigit() or int(length[:18]) > MAX_BODY_BYTES:
        raise RequestTooLarge


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body follows."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def read_body(receive: Receive) -> bytes:
    """The body, at most 256 KiB of it: what comes after is left to the server, which throws it away unread.

    Raises RequestTooLarge, RequestTimeout, Gone.
    """
    task = asyncio.current_task()
    assert task is not None
    # asyncio.timeout costs several times as much, and this is paid for every message.
    timer = asyncio.get_running_loop().call_later(BODY_DEADLINE_S, task.cancel, _TOO_SLOW)
    try:
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body") and len(body) <= MAX_BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
    except asyncio.CancelledError as cancelled:
        if cancelled.args != (_TOO_SLOW,):
            raise
        task.uncancel()
        raise RequestTimeout from None
    finally:
        timer.cancel()
    if message["type"] != "http.request":
        raise Gone
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge
    return body


async def respond(send: Send, reply: Reply) -> None:
    """Sends a whole answer."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})
