"""/phone/v1/socket: the native phone protocol over a WebSocket, from hello to bye (docs/phone-protocol.md)."""

import asyncio
from collections.abc import Awaitable
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.gateway.phones import frames
from services.gateway.phones.admittance import Admittance
from services.gateway.phones.connections import Connections
from services.gateway.phones.farewell import Farewell
from services.gateway.phones.session import Means, Session
from services.gateway.phones.wire import Gone, Receive, Scope, Send, Wire
from shared.contracts.registry import wake_subject

log = structlog.get_logger()

HELLO_S: Final = 10.0
"""How long a phone may take to say hello, in seconds."""

UNSUBSCRIBE_S: Final = 2.0


class PhoneSocket:
    """Serves the route; each connection is one call of `serve`."""

    def __init__(self, client: Client, connections: Connections, admittance: Admittance, means: Means) -> None:
        """`client` hears the wakes: a subscription for each phone, so that a gateway hears only its own."""
        self._client = client
        self._connections = connections
        self._admittance = admittance
        self._means = means

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI handler."""
        if scope["type"] != "websocket":
            await _not_a_socket(send)
            return
        wire = Wire(receive, send)
        farewell: Farewell | None = None
        try:
            await wire.accept()
            farewell = await self._converse(wire)
        except Farewell as error:
            farewell = error
        except Gone:
            return
        try:
            if farewell is not None:
                log.info("bye", code=farewell.bye.code)
                await wire.send(farewell.bye)
        except Gone:
            return
        await wire.close()

    async def _converse(self, wire: Wire) -> Farewell | None:
        """One phone's visit. Returns what to say at its end; raises Farewell and Gone."""
        self._connections.check_open()
        try:
            hello = frames.greeting(await wire.receive(HELLO_S))
        except TimeoutError:
            raise Farewell("bad_frame", "There was no hello.") from None
        session = Session(wire, self._means, await self._admittance.admit(hello))

        async def wake(_: Msg) -> None:
            session.wake()

        try:
            self._connections.add(session)
            try:
                hearing = await self._client.subscribe(wake_subject(session.device), cb=wake)
            except (nats.errors.Error, OSError) as error:
                raise Farewell("unavailable", "NATS does not answer.", 2.0) from error
            log.info("phone connected", device=session.device, session=session.session)
            try:
                return await session.run()
            finally:
                await _forget(hearing.unsubscribe())
                log.info("phone gone", device=session.device, session=session.session)
        finally:
            await self._connections.remove(session)


async def _forget(unsubscribing: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(UNSUBSCRIBE_S):
            await unsubscribing
    except (nats.errors.Error, OSError, TimeoutError) as error:
        log.debug("not unsubscribed", error=repr(error))


async def _not_a_socket(send: Send) -> None:
    body = b'{"error":"upgrade_required","message":"This is a WebSocket; docs/phone-protocol.md tells the rules."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": body})
