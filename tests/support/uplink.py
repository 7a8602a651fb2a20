"""A phone's way to the gateway that breaks right after hand-overs: a TCP proxy that reads along."""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator
from typing import Self

HAND_OVER = re.compile(rb'"jobs":\[\{|"type":"taken","seq":\d+,"attempts":\["')
"""Jobs that are offered, or a take that is granted; the gateway's frames are neither masked nor compressed."""

CHUNK = 64 * 1024
CUT_AFTER_S = ((0.05, 1.0), (0.05, 1.0), (5.1, 7.0))
"""How old a connection is when its next hand-over cuts it: two soon, one after the phone's back-off was reset (5 s)."""


class Uplink:
    """One phone's uplink, on a port of its own for the whole test.

    A cut happens with a hand-over on the wire: the phone has got it or not, and the gateway notices or does not.
    """

    def __init__(self, gateway_port: int, rng: random.Random) -> None:
        """Listens from `listen()` on. `rng` decides when and how it is cut."""
        self._gateway_port = gateway_port
        self._rng = rng
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._next_cut = 0.0
        self.cuts = 0
        self.breaking = True
        """Whether hand-overs are cut."""
        self.silent = False
        """Whether the gateway never hears of the phone's end, as when the phone's power is gone."""

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls, gateway_port: int, rng: random.Random) -> AsyncIterator[Self]:
        """An uplink for the context's time."""
        uplink = cls(gateway_port, rng)
        uplink._server = await asyncio.start_server(uplink._serve, "127.0.0.1", 0)
        try:
            yield uplink
        finally:
            uplink._server.close()
            lines = list(uplink._lines)
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)
            await uplink._server.wait_closed()

    @property
    def url(self) -> str:
        """What the phone is told instead of the gateway's address."""
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/phone/v1/socket"

    async def _serve(self, phone: asyncio.StreamReader, to_phone: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            gateway, to_gateway = await asyncio.open_connection("127.0.0.1", self._gateway_port)
        except OSError:
            to_phone.transport.abort()
            self._lines.discard(task)
            return
        self._plan()
        up = asyncio.create_task(self._up(phone, to_gateway))
        try:
            await self._down(gateway, to_phone, up)
        except (OSError, asyncio.CancelledError):
            # The end of the line, or of the test: streams log a connection's task that ends as cancelled.
            pass
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
            to_phone.transport.abort()
            to_gateway.transport.abort()
            self._lines.discard(task)

    async def _up(self, phone: asyncio.StreamReader, to_gateway: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await phone.read(CHUNK):
                to_gateway.write(data)
                await to_gateway.drain()
        if not self.silent:
            to_gateway.transport.abort()

    async def _down(
        self, gateway: asyncio.StreamReader, to_phone: asyncio.StreamWriter, up: "asyncio.Task[None]"
    ) -> None:
        while data := await gateway.read(CHUNK):
            if not self._is_cut_by(data):
                if not to_phone.is_closing():
                    to_phone.write(data)
                continue
            self.cuts += 1
            if self._rng.random() < 0.5:
                to_phone.write(data)
            up.cancel()
            to_phone.transport.abort()
            if self._rng.random() < 0.5:
                return
            # The gateway notices nothing: what it sends goes nowhere until it ends the connection by itself.
            while await gateway.read(CHUNK):
                continue

    def _is_cut_by(self, data: bytes) -> bool:
        now = asyncio.get_running_loop().time()
        return self.breaking and now >= self._next_cut and HAND_OVER.search(data) is not None

    def _plan(self) -> None:
        pause = self._rng.uniform(*self._rng.choice(CUT_AFTER_S))
        self._next_cut = asyncio.get_running_loop().time() + pause
