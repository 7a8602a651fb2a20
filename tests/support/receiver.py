"""A customer's webhook receiver: a real HTTP server that keeps every request as it came and can go away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Delivery:
    """One request: its first line, its headers in order as they came, its body, and when it was whole."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    """By the event loop's clock."""

    def header(self, name: str) -> str | None:
        """The value of a header, None when it is not there."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)


@dataclass
class Receiver:
    """Answers every request with `status`, or with what `judge` makes of it."""

    status: int = 200
    judge: Callable[[Delivery], int] | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _port: int = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, judge: Callable[[Delivery], int] | None = None) -> AsyncIterator[Self]:
        """A receiver for the context's time, on a free port."""
        receiver = cls(judge=judge)
        await receiver.come_back()
        try:
            yield receiver
        finally:
            await receiver.go_away()

    @property
    def url(self) -> str:
        """Where it listens, also while it is away."""
        return f"http://127.0.0.1:{self._port}/hook"

    def with_text(self, text: bytes) -> list[Delivery]:
        """The deliveries whose body holds this text."""
        return [delivery for delivery in self.deliveries if text in delivery.body]

    async def come_back(self) -> None:
        """Listens, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def go_away(self) -> None:
        """Ends its connections and listens no more."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                delivery = await _read(reader)
                self.deliveries.append(delivery)
                status = self.judge(delivery) if self.judge else self.status
                writer.write(f"HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (EOFError, OSError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Delivery:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    body = await reader.readexactly(length)
    return Delivery(head[0], headers, body, asyncio.get_running_loop().time())
