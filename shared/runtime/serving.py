"""Serves HTTP until told to stop, and stops without breaking a request that has left its caller."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import uvicorn

from shared.errors import Startup

IN_FLIGHT_S: Final = 10
"""How long requests may take to end when the server stops, in seconds."""

FIRST_REQUEST_S: Final = 1.0
"""How long a connection may take to bring its first request when the server takes no more, in seconds."""

_POLL_S: Final = 0.01


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the service that owns it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes no signal."""
        yield


class Listener:
    """A server at work."""

    def __init__(self, server: QuietServer, listening: socket.socket) -> None:
        """`serving` makes it."""
        self._server = server
        self._socket = listening
        self._open = True
        self.port: int = listening.getsockname()[1]

    async def close(self) -> None:
        """Takes no more connections and serves those that there are; whoever dials now is refused and may go elsewhere.

        The kernel has accepted connections that we have not: they are taken first, for their callers may have sent
        their requests already. Returns when each connection has brought its first one.
        """
        if not self._open:
            return
        self._open = False
        last = self._socket.dup()
        for server in self._server.servers:
            server.close()
        await asyncio.sleep(0)
        waiting = list(_accepted(last))
        last.close()
        loop = asyncio.get_running_loop()
        kind: Any = self._server.config.http_protocol_class
        protocol = functools.partial(
            kind,
            config=self._server.config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
        )
        for connection in waiting:
            await loop.connect_accepted_socket(protocol, connection)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_REQUEST_S):
                while self._some_brought_nothing():  # noqa: ASYNC110 (uvicorn tells nobody)
                    await asyncio.sleep(_POLL_S)

    def _some_brought_nothing(self) -> bool:
        # Those that became WebSockets have no cycle.
        return any(getattr(each, "cycle", each) is None for each in self._server.server_state.connections)


def _accepted(listening: socket.socket) -> Iterator[socket.socket]:
    listening.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            yield listening.accept()[0]


@contextlib.asynccontextmanager
async def serving(app: Any, host: str, port: int, **options: Any) -> AsyncIterator[Listener]:
    """Serves an ASGI app while the context is open. In-flight requests get 10 s at the end.

    Raises Startup when the port is taken.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=IN_FLIGHT_S,
        **options,
    )
    try:
        listening = config.bind_socket()
    except SystemExit:
        raise Startup(
            f"Port {port} on {host} is taken. Stop what holds it or choose another with SMSFLEET_PORT."
        ) from None
    # uvloop does it by itself, asyncio only for sockets whose protocol is named: else each answer on a kept connection
    # waits 40 ms for the acknowledgement of the one before.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name=f"http:{port}")
    try:
        while not server.started:
            if task.done():
                raise Startup(f"The HTTP server on port {port} did not start.")
            await asyncio.sleep(0.005)
        yield Listener(server, listening)
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=IN_FLIGHT_S + 5)
        listening.close()
