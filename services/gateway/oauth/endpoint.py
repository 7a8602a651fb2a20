"""One way in for the endpoints that clients authenticate at: read, limit, ask auth, answer; a plain ASGI handler."""

from collections.abc import Awaitable, Callable

import msgspec
import structlog

from services.gateway.asgi import Gone, Receive, Reply, Scope, Send, check_size, has_body, read_body, respond
from services.gateway.errors import MethodNotAllowed
from services.gateway.oauth.errors import NO_STORE, answer_to, framed
from services.gateway.oauth.forms import Client, Form, client_of, read_form
from services.gateway.oauth.limits import Limits
from shared.errors import SmsFleetError

log = structlog.get_logger()

Work = Callable[[Form, Client, str], Awaitable[msgspec.Struct | None]]
"""Does what a client wants, given its form and its address; None is an empty answer. May raise any error of ours."""


class OAuthEndpoint:
    """Serves one route: POST, a form, errors as in RFC 6749."""

    def __init__(self, limits: Limits, work: Work) -> None:
        """Every request is held to these limits first."""
        self._limits = limits
        self._work = work

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI handler."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            reply = await self._answer(scope, receive)
        except Gone:
            return
        except SmsFleetError as error:
            reply = answer_to(error)
        except Exception as error:
            log.exception("request failed", path=scope["path"])
            reply = answer_to(error)
        await respond(send, reply)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        if scope["method"] != "POST":
            raise MethodNotAllowed
        query: bytes = scope["query_string"]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        check_size(query, headers)
        address = scope["client"][0] if scope["client"] else ""
        await self._limits.arrive(address)
        body = await read_body(receive) if has_body(headers) else b""
        form = read_form(query, headers.get(b"content-type", b""), body)
        client = client_of(form, headers.get(b"authorization"))
        await self._limits.ask(address, client)
        try:
            told = await self._work(form, client, address)
        except SmsFleetError as error:
            if error.code == "invalid_client":
                self._limits.refused(address, client)
            raise
        self._limits.accepted(client)
        if told is None:
            return Reply(200, [NO_STORE, (b"content-length", b"0")], b"")
        return framed(200, told)
