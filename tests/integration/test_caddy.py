"""Caddy in front of a gateway that dies: what reached it is never sent to it again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.caddies import Front, local_caddy


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
async def behind(tmp_path: Path) -> AsyncIterator[tuple[Dying, Front]]:
    """The gateway, and a running Caddy before it."""
    dying = Dying()
    gateway = await asyncio.start_server(dying.serve, "127.0.0.1", 0)
    try:
        async with local_caddy(tmp_path / "home", gateway.sockets[0].getsockname()[1]) as front:
            yield dying, front
    finally:
        gateway.close()
        await gateway.wait_closed()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_that_left_is_not_repeated(behind: tuple[Dying, Front], method: str) -> None:
    dying, front = behind
    reader, writer = await asyncio.open_connection("localhost", front.port, ssl=front.context())
    try:
        head = f"{method} /sendsms/?message=once HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(15):
            assert (await reader.readline()).split()[1] == b"502"
    finally:
        writer.transport.abort()
    assert dying.asked == [f"{method} /sendsms/?message=once HTTP/1.1".encode()]
