"""A load generator that costs less than what it measures: raw HTTP/1.1 over keep-alive connections."""

import asyncio
from functools import partial
from typing import NamedTuple, cast


class Load(NamedTuple):
    """What one run gave."""

    answered: int
    seconds: float
    refused: int
    """Answers that were not what was wanted."""
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Good answers a second."""
        return self.answered / self.seconds


class _Caller(asyncio.Protocol):
    def __init__(self, request: bytes, wanted: bytes, until: float, done: asyncio.Future[None]) -> None:
        self._request = request
        self._wanted = wanted
        self._until = until
        self._done = done
        self._clock = asyncio.get_running_loop().time
        self._buffer = b""
        self._asked_at = 0.0
        self._transport: asyncio.WriteTransport | None = None
        self.waits: list[float] = []
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        at = self._buffer.find(b"content-length: ") + 16
        length = int(self._buffer[at : self._buffer.find(b"\r", at)])
        if len(self._buffer) < head_end + 4 + length:
            return
        if self._buffer.startswith(b"HTTP/1.1 200 ") and self._wanted in self._buffer:
            self.waits.append(self._clock() - self._asked_at)
        else:
            self.refused += 1
        self._buffer = b""
        if self._clock() < self._until:
            self._ask()
        else:
            assert self._transport is not None
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _ask(self) -> None:
        assert self._transport is not None
        self._asked_at = self._clock()
        self._transport.write(self._request)


async def load(port: int, request: bytes, wanted: bytes, seconds: float, connections: int = 64) -> Load:
    """Sends `request` again and again on each connection for `seconds`; a good answer is a 200 that holds `wanted`."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    callers: list[_Caller] = []
    ends = []
    for _ in range(connections):
        end: asyncio.Future[None] = loop.create_future()
        _, caller = await loop.create_connection(
            partial(_Caller, request, wanted, begun + seconds, end), "127.0.0.1", port
        )
        callers.append(caller)
        ends.append(end)
    async with asyncio.timeout(seconds + 15):
        await asyncio.gather(*ends)
    took = loop.time() - begun
    waits = sorted(wait for caller in callers for wait in caller.waits) or [0.0]
    refused = sum(caller.refused for caller in callers)
    answered = sum(len(caller.waits) for caller in callers)
    return Load(answered, took, refused, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000)
