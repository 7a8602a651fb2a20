"""HTTP/1.1 as bytes on a socket: says exactly what a test says and shows exactly what came back."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LONGEST_HEAD = 64 * 1024


class Broken(ConnectionError):
    """The connection ended before the answer was whole."""


@dataclass(frozen=True)
class Response:
    """An answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must say that it is JSON."""
        assert self.headers.get("content-type", "").startswith("application/json"), (self.headers, self.body[:200])
        return json.loads(self.body)


class Connection:
    """One keep-alive connection: one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        """Made by `connect`."""
        self._reader = reader
        self._writer = writer
        self._host = host

    async def request(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        """Sends it as it stands and returns the answer. Raises Broken."""
        head = {"Host": self._host, **({"Content-Length": str(len(body))} if body else {}), **(headers or {})}
        return await self.raw(_head(f"{method} {target} HTTP/1.1", head) + body)

    async def raw(self, request: bytes) -> Response:
        """Sends any bytes and returns the answer, also one that comes before the last byte was taken."""
        sending = asyncio.create_task(self._send(request))
        try:
            return await self._receive(bodiless=request.startswith(b"HEAD "))
        except (OSError, EOFError) as problem:
            raise Broken(repr(problem)) from problem
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending

    async def close(self) -> None:
        """Ends the connection at once."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _send(self, request: bytes) -> None:
        self._writer.write(request)
        await self._writer.drain()

    async def _receive(self, *, bodiless: bool) -> Response:
        head = await self._head()
        while head[0].split(" ")[1] == "100":
            head = await self._head()
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if bodiless or head[0].split(" ")[1] == "204":
            body = b""
        elif "content-length" in headers:
            body = await self._reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self._reader.read()
        return Response(int(head[0].split(" ")[1]), headers, body)

    async def _head(self) -> list[str]:
        return (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return body


async def connect(base_url: str, tls: ssl.SSLContext | None = None) -> Connection:
    """A connection to the host of this URL, for https with `tls`. Raises OSError."""
    host = urlsplit(base_url).netloc
    name, _, port = host.rpartition(":")
    reader, writer = await asyncio.open_connection(name, int(port), limit=LONGEST_HEAD, ssl=tls)
    return Connection(reader, writer, host)


@contextlib.asynccontextmanager
async def connected(base_url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Connection]:
    """A connection for the context's time."""
    connection = await connect(base_url, tls)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(
    base_url: str, method: str, target: str, within_s: float = 15.0, *, tls: ssl.SSLContext | None = None, **more: Any
) -> Response:
    """One request on a connection of its own."""
    async with asyncio.timeout(within_s), connected(base_url, tls) as connection:
        return await connection.request(method, target, **more)


def query(path: str, **parameters: object) -> str:
    """The target with these parameters, properly encoded."""
    return f"{path}?{urlencode(parameters, quote_via=quote)}" if parameters else path


def form(**parameters: object) -> bytes:
    """The body with these parameters, properly encoded."""
    return urlencode(parameters, quote_via=quote).encode()


def _head(first: str, headers: Mapping[str, str]) -> bytes:
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")
