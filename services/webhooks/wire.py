"""What aiohttp has no switch for: a guard on every dial, marks at its phases, an end to floods of interim answers."""

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import BadHttpMessage

from services.webhooks.phases import dialled, mark
from services.webhooks.targets import Guard

MAX_INTERIM_ANSWERS: Final = 16
SLICE_BYTES: Final = 16 * 1024

KEEPALIVE_S: Final = 4.0
"""An idle connection is ours to close: many servers close theirs after 5 s, just when the next delivery comes."""

MAX_IDLE_HOSTS: Final = 256
"""Hosts to which idle connections are kept: aiohttp has no bound, and each costs a file descriptor."""


class TlsContext(ssl.SSLContext):
    """Checks certificates and names as every client does, and marks `tls` when a handshake begins."""

    def __new__(cls) -> "TlsContext":
        """Trusts what the machine trusts."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        return context

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Called by the event loop for each connection."""
        mark("tls")
        return super().wrap_bio(*arguments, **named)


class Connector(aiohttp.TCPConnector):
    """Makes connections that the guard has let through, and remembers no address."""

    def __init__(
        self,
        guard: Guard,
        resolver: AbstractResolver,
        tls: ssl.SSLContext,
        connections: int,
        idle_hosts: int = MAX_IDLE_HOSTS,
    ) -> None:
        """At most so many connections in use at once, and idle ones to so many hosts."""

        def dial(info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
            mark("dial")
            dialled(info[4])
            return guard.socket(info)

        super().__init__(
            limit=connections,
            resolver=resolver,
            # Each connection is checked when it is made: an answer of yesterday's name server is not.
            use_dns_cache=False,
            socket_factory=dial,
            ssl=tls,
            keepalive_timeout=KEEPALIVE_S,
        )
        self._idle_hosts = idle_hosts
        protocol: Callable[..., ResponseHandler] = _Protocol
        self._factory = partial(protocol, self._loop)

    async def connect(self, *arguments: Any, **named: Any) -> Connection:
        """A connection, new or used before."""
        while len(self._conns) > self._idle_hosts:
            for idle, _ in self._conns.pop(next(iter(self._conns))):
                idle.close()
        connection = await super().connect(*arguments, **named)
        mark("connected")
        if connection.transport is not None:
            dialled(connection.transport.get_extra_info("peername"))
        return connection


class _Protocol(ResponseHandler):
    """Ends a connection on which interim answers (1xx) come without end.

    aiohttp would read them until the deadline, which holds up everything else in the process.
    """

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._interim = 0

    def data_received(self, data: bytes) -> None:
        for begin in range(0, len(data) or 1, SLICE_BYTES):
            if self.exception() is not None:
                return
            super().data_received(data[begin : begin + SLICE_BYTES])

    def feed_data(self, data: Any, size: int = 0) -> None:
        status = data[0].code
        if not 100 <= status < 200 or status == 101:
            self._interim = 0
            super().feed_data(data, size)
            return
        # Nobody waits for one: we never ask for it.
        self._interim += 1
        if self._interim > MAX_INTERIM_ANSWERS:
            self.set_exception(BadHttpMessage("too many interim answers"))
            if self.transport is not None:
                self.transport.close()
