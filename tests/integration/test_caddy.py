"""Caddy in front of a gateway that dies: what reached it is never sent to it again."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local import caddy
from deploy.local.paths import Home
from deploy.local.ports import free_port
from deploy.local.processes import spawn, stop
from deploy.local.settings import read_settings
from tests.support.waiting import until


class Dying:
    """Answers the question for its health, and hangs up on everything else."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while (head := await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /health/live "):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            self.asked.append(head.split(b"\r\n")[0])
        writer.close()


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[tuple[Dying, Path, int]]:
    """The gateway, the root certificate and the port of a running Caddy before it."""
    dying = Dying()
    gateway = await asyncio.start_server(dying.serve, "127.0.0.1", 0)
    environment = {
        "SMSFLEET_PORT": str(gateway.sockets[0].getsockname()[1]),
        "SMSFLEET_TLS": "internal",
        "SMSFLEET_TLS_PORT": str(free_port()),
        "SMSFLEET_TLS_CA_PORT": str(free_port()),
    }
    settings = read_settings(environment)
    home = Home(tmp_path / "home")
    home.make()
    assert settings.tls is not None
    program = caddy.install(home, settings, settings.tls)
    process = spawn(program)
    try:

        async def ready() -> bool:
            assert process.poll() is None, program.log.read_text()
            return await program.ready()

        await until(ready, "Caddy answers")
        yield dying, caddy.root_certificate(home), settings.tls.port
    finally:
        await stop(process, program.stop_signal, program.stop_after_s)
        gateway.close()
        await gateway.wait_closed()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_that_left_is_not_repeated(behind: tuple[Dying, Path, int], method: str) -> None:
    dying, root, port = behind
    context = ssl.create_default_context(cafile=root)
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    try:
        head = f"{method} /sendsms/?message=once HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(15):
            assert (await reader.readline()).split()[1] == b"502"
    finally:
        writer.transport.abort()
    assert dying.asked == [f"{method} /sendsms/?message=once HTTP/1.1".encode()]
