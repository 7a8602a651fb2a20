"""A program's way to a server that a test can cut and mend: a TCP proxy on a port of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

CHUNK = 64 * 1024


class Link:
    """While it is cut, its connections are gone and new ones end at once."""

    def __init__(self, port: int) -> None:
        """Leads to this port of this machine."""
        self._target = port
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._is_cut = False

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls, port: int) -> AsyncIterator[Self]:
        """A link for the context's time."""
        link = cls(port)
        link._server = await asyncio.start_server(link._serve, "127.0.0.1", 0)
        try:
            yield link
        finally:
            link._server.close()
            await link.cut()
            await link._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def cut(self) -> None:
        """Nothing goes through from now on."""
        self._is_cut = True
        lines = list(self._lines)
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    def mend(self) -> None:
        """New connections go through again."""
        self._is_cut = False

    async def _serve(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            if not self._is_cut:
                await self._carry(near, to_near)
        except (OSError, asyncio.CancelledError):
            # A cut, or the end of the test: streams log a connection's task that ends as cancelled.
            pass
        finally:
            to_near.transport.abort()
            self._lines.discard(task)

    async def _carry(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [asyncio.create_task(_copy(near, to_far)), asyncio.create_task(_copy(far, to_near))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_far.transport.abort()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        to.write(data)
        await to.drain()
