"""A webhook receiver that misbehaves on demand: it hangs, resets, drips or is away, and keeps what it got."""

import asyncio
import contextlib
import gzip
import ssl
from dataclasses import dataclass, field
from typing import Literal, Self

Behaviour = Literal[
    "answer", "hang", "reset", "drip", "endless", "half", "garbage",
    "drip_head", "long_line", "many_headers", "interim", "abort_body", "gzip_bomb", "switch",
]  # fmt: skip

BOMB = gzip.compress(bytes(50_000_000))


@dataclass(frozen=True)
class Answer:
    """What the receiver does with one request."""

    status: int = 200
    behaviour: Behaviour = "answer"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


OK = Answer()


class HostileReceiver:
    """Listens on loopback while the context is open; `answers` are given in turn, then `default` for ever."""

    def __init__(self, default: Answer = OK, tls: ssl.SSLContext | None = None) -> None:
        self.default = default
        self._tls = tls
        self.answers: list[Answer] = []
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens, also while it is away."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/hook?a=1%2B1"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens, on the port of the last time."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Goes away with all its connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
            ):
                while await self._one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            if self._server is None:
                writer.transport.abort()
            else:
                writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Request(method, path, headers, body))
        answer = self.answers.pop(0) if self.answers else self.default
        extra = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        begin = f"HTTP/1.1 {answer.status} X\r\n{extra}"
        match answer.behaviour:
            case "drip_head":
                await _pour(writer, begin.encode(), b"X-Drip: 1\r\n", pause_s=0.02)
            case "long_line":
                await _pour(writer, f"{begin}X-Long: ".encode(), b"x" * 1024)
            case "many_headers":
                await _pour(writer, begin.encode(), b"X-Many: 1\r\n" * 64)
            case "interim":
                await _pour(writer, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
            case "switch":
                await _pour(writer, b"HTTP/1.1 101 X\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n", b"x" * 65536)
            case "drip" | "endless":
                flood = f"{begin}Content-Length: 1000000000000\r\n\r\n".encode()
                drips = answer.behaviour == "drip"
                await _pour(writer, flood, b"x" if drips else b"x" * 65536, pause_s=0.02 if drips else 0)
            case "abort_body":
                writer.write(f"{begin}Content-Length: 100\r\n\r\nhalf".encode())
                await writer.drain()
                writer.transport.abort()
                return False
            case "gzip_bomb":
                writer.write(f"{begin}Content-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n".encode() + BOMB)
                await writer.drain()
            case "hang":
                await asyncio.Event().wait()
            case "reset":
                return False
            case "garbage":
                writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" * 3)
                await writer.drain()
                return False
            case "half":
                writer.write(f"{begin}Content-Length: 100\r\n\r\nhalf".encode())
                await writer.drain()
                return False
            case "answer":
                length = "" if answer.status in (204, 304) else "Content-Length: 2\r\n"
                writer.write(f"{begin}{length}\r\n{'ok' if length else ''}".encode())
                await writer.drain()
        return True


async def _pour(writer: asyncio.StreamWriter, begin: bytes, more: bytes, *, pause_s: float = 0) -> None:
    """Writes the beginning, then more and more, until the other side has had enough."""
    writer.write(begin)
    while True:
        writer.write(more)
        await writer.drain()
        await asyncio.sleep(pause_s)
