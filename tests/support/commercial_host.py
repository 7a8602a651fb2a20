"""Stands in for api.smsmobileapi.com: a CONNECT proxy and a TLS listener that lead its clients to our gateway.

Nothing of the client is changed: HTTPS_PROXY names the proxy and REQUESTS_CA_BUNDLE the test's own authority.
After TLS the bytes pass as they are, in both directions.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import trustme

HOST = "api.smsmobileapi.com"
TARGET = f"{HOST}:443"

_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class CommercialHost:
    """What its clients need, and what they asked for."""

    proxy: str
    authority: Path
    accepted: int = 0
    """Tunnels to the commercial host's name."""
    refused: list[str] = field(default_factory=list)
    """Any other target that a client wanted."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead an unchanged client here."""
        return {"HTTPS_PROXY": self.proxy, "REQUESTS_CA_BUNDLE": str(self.authority), "NO_PROXY": ""}


@contextlib.asynccontextmanager
async def commercial_host(base_url: str, folder: Path) -> AsyncIterator[CommercialHost]:
    """Leads clients of the commercial host to `base_url` for the context's time; `folder` keeps the certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(tls)
    ours = urlsplit(base_url)
    host = CommercialHost(proxy="", authority=folder / "authority.pem")
    async with contextlib.AsyncExitStack() as servers:

        async def serve_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _lead(reader, writer, ours.hostname or "", ours.port or 0)

        tls_port = await servers.enter_async_context(_listening(serve_tls, tls))

        async def serve_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            method, target, *_ = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split(" ")
            if (method, target) != ("CONNECT", TARGET):
                host.refused.append(f"{method} {target}")
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                writer.close()
                return
            host.accepted += 1
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _lead(reader, writer, "127.0.0.1", tls_port)

        host.proxy = f"http://127.0.0.1:{await servers.enter_async_context(_listening(serve_proxy))}"
        yield host


@contextlib.asynccontextmanager
async def _listening(serve: _Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, port: int) -> None:
    """Passes bytes in both directions until both sides have ended."""
    there_reader, there_writer = await asyncio.open_connection(name, port)
    try:
        await asyncio.wait(
            [asyncio.create_task(_pass(reader, there_writer)), asyncio.create_task(_pass(there_reader, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        # A client that keeps its connection open would keep the other one open with it.
        there_writer.transport.abort()
        writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
