"""One way in for every route of the dialect: read, authenticate, work, answer; a plain ASGI handler.

Litestar's own handler layers cost more than the work of accepting a message, so these routes are mounted below them.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import structlog

from services.gateway.asgi import JSON_TYPE, Gone, Receive, Reply, Scope, Send, check_size, has_body, read_body, respond
from services.gateway.callers import Callers
from services.gateway.dialects.smsmobile.errors import answer_to
from services.gateway.dialects.smsmobile.parameters import Parameters, parse_body, parse_pairs
from services.gateway.errors import MethodNotAllowed, MissingScope
from services.gateway.measured import NO_ANSWER, Meter
from shared.contracts.rpc.auth import Verdict
from shared.errors import SmsFleetError

log = structlog.get_logger()


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


class Endpoint:
    """Serves one route: GET and POST, parameters from everywhere, errors in the documented shape."""

    def __init__(
        self,
        callers: Callers,
        work: Work,
        meter: Meter,
        *,
        scope: str,
        lists: bool = False,
        always_200: bool = False,
    ) -> None:
        """`scope` is what the key must allow; `lists`: the answer holds a list, so its errors hold an empty one.

        `always_200`: errors have status 200 too, for callers that are tied to the commercial service's older ways.
        """
        self._callers = callers
        self._work = work
        self._meter = meter
        self.scope = scope
        self._lists = lists
        self._always_200 = always_200

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI handler."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        after = None
        began = time.perf_counter()
        try:
            body, after = await self._answer(scope, receive)
            length = (b"content-length", str(len(body)).encode())
            answer = Reply(200, [JSON_TYPE, length], body)
        except Gone:
            self._meter.count(scope["method"], NO_ANSWER, 0)
            return
        except SmsFleetError as error:
            answer = self._refusal(error)
        except Exception as error:
            log.exception("request failed", path=scope["path"])
            answer = self._refusal(error)
        self._meter.count(scope["method"], answer.status, time.perf_counter() - began)
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
        check_size(query, headers)
        parameters: Parameters = {}
        parse_pairs(query, parameters)
        if has_body(headers):
            parse_body(headers.get(b"content-type", b""), await read_body(receive), parameters)
        caller = await self._callers.identify(parameters.get("apikey"), headers.get(b"authorization"), scope["client"])
        if self.scope not in caller.scopes:
            raise MissingScope(self.scope)
        return await self._work(Call(caller, parameters, headers))

    def _refusal(self, error: Exception) -> Reply:
        answer = answer_to(error, lists=self._lists)
        return answer._replace(status=200) if self._always_200 else answer
