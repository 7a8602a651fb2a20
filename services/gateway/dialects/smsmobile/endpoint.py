"""One way in for every route of the dialect: read, authenticate, work, answer; a plain ASGI handler.

Litestar's own handler layers cost more than the work of accepting a message, so these routes are mounted below them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import structlog

from services.gateway.dialects.smsmobile.callers import Callers
from services.gateway.dialects.smsmobile.errors import (
    JSON_TYPE,
    ErrorAnswer,
    Headers,
    MethodNotAllowed,
    RequestTimeout,
    RequestTooLarge,
    answer_to,
)
from services.gateway.dialects.smsmobile.parameters import Parameters, parse_body, parse_pairs
from shared.contracts.rpc.auth import Verdict
from shared.errors import Forbidden, SmsFleetError
from shared.model.storable import MAX_BODY_BYTES

log = structlog.get_logger()

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_DEADLINE_S: Final = 20.0
"""How long a caller may take to send its body, in seconds."""

_TOO_SLOW: Final = "the body did not arrive in time"


class Call(NamedTuple):
    """A request after it was read and its caller found. Names of `headers` are lower case."""

    caller: Verdict
    parameters: Parameters
    headers: Mapping[bytes, bytes]

    @property
    def account(self) -> int:
        """The caller's account, which an identified caller has."""
        assert self.caller.account is not None
        return self.caller.account


class Answer(NamedTuple):
    """A body for status 200; `after` is done once the answer is on its way, and its errors stay here."""

    body: bytes
    after: Callable[[], Awaitable[object]] | None = None


Work = Callable[[Call], Awaitable[Answer]]
"""Does what the caller wants. May raise any error of ours."""


class _Gone(Exception):
    """The caller hung up before its request was whole."""


class Endpoint:
    """Serves one route: GET and POST, parameters from everywhere, errors in the documented shape."""

    def __init__(
        self, callers: Callers, work: Work, *, scope: str, lists: bool = False, always_200: bool = False
    ) -> None:
        """`scope` is what the key must allow; `lists`: the answer holds a list, so its errors hold an empty one.

        `always_200`: errors have status 200 too, for callers that are tied to the commercial service's older ways.
        """
        self._callers = callers
        self._work = work
        self._scope = scope
        self._lists = lists
        self._always_200 = always_200

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI handler."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        after = None
        try:
            body, after = await self._answer(scope, receive)
            length = (b"content-length", str(len(body)).encode())
            answer = ErrorAnswer(200, [JSON_TYPE, length], body)
        except _Gone:
            return
        except SmsFleetError as error:
            answer = self._refusal(error)
        except Exception as error:
            log.exception("request failed", path=scope["path"])
            answer = self._refusal(error)
        await respond(send, answer)
        if after is not None:
            try:
                await after()
            except Exception as error:
                log.warning("afterwork failed", path=scope["path"], error=repr(error))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method = scope["method"]
        if method not in ("GET", "POST"):
            raise MethodNotAllowed
        query: bytes = scope["query_string"]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if len(query) > MAX_BODY_BYTES or not length.isdigit() or int(length[:18]) > MAX_BODY_BYTES:
            raise RequestTooLarge
        parameters: Parameters = {}
        parse_pairs(query, parameters)
        if length != b"0" or b"transfer-encoding" in headers:
            parse_body(headers.get(b"content-type", b""), await _body(receive), parameters)
        caller = await self._callers.identify(parameters, headers.get(b"authorization"))
        if self._scope not in caller.scopes:
            raise Forbidden(f"The API key lacks the scope {self._scope}.")
        return await self._work(Call(caller, parameters, headers))

    def _refusal(self, error: Exception) -> ErrorAnswer:
        answer = answer_to(error, lists=self._lists)
        return answer._replace(status=200) if self._always_200 else answer


async def respond(send: Send, answer: ErrorAnswer) -> None:
    """Sends a whole answer."""
    headers: Headers = answer.headers
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _body(receive: Receive) -> bytes:
    """The body, at most 256 KiB of it: what comes after is left to the server, which throws it away unread."""
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
        raise _Gone
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge
    return body
