"""Phones that cost next to nothing: they speak the native protocol, send at once and remember nothing."""

import asyncio
import secrets
import time

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from shared.contracts import phone

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(phone.FromGateway).decode

PLACES = 16
"""Untaken jobs that each of its two SIMs asks for."""


class QuickPhone:
    """One phone without a throttle. `performed` maps message texts to the time when they reached the radio."""

    def __init__(self, url: str, enrolment_key: str, *, places: int = PLACES) -> None:
        """Connects when run() runs."""
        self._url = url
        self._key = enrolment_key
        self._places = {1: places, 2: places}
        self._seq = 0
        self._offered: dict[str, phone.Job] = {}
        self.online = asyncio.Event()
        self.offered_at: dict[str, float] = {}
        self.performed = 0

    async def run(self) -> None:
        """Works until cancelled."""
        async with connect(self._url, max_size=phone.MAX_FRAME_BYTES, proxy=None, compression=None) as socket:
            sims = [phone.Sim(slot=1), phone.Sim(slot=2)]
            await self._send(
                socket,
                phone.Hello(
                    version=phone.VERSION,
                    journal=secrets.token_hex(8),
                    name="quick",
                    sims=sims,
                    enrolment_key=self._key,
                ),
            )
            async for frame in socket:
                await self._hear(socket, _decode(frame))

    async def _hear(self, socket: ClientConnection, frame: object) -> None:
        match frame:
            case phone.Welcome():
                self.online.set()
                await self._ask(socket)
            case phone.Wake():
                await self._ask(socket)
            case phone.Jobs(jobs=jobs):
                now = time.perf_counter()
                for job in jobs:
                    self._offered[job.attempt] = job
                    self.offered_at.setdefault(job.text, now)
                if jobs:
                    self._seq += 1
                    await self._send(socket, phone.Take(seq=self._seq, attempts=[job.attempt for job in jobs]))
            case phone.Taken(attempts=attempts):
                await self._perform(socket, attempts)
            case phone.Ping(n=n):
                await self._send(socket, phone.Pong(n=n))
            case _:
                pass

    async def _perform(self, socket: ClientConnection, attempts: list[str]) -> None:
        at = int(time.time() * 1000)
        self.performed += len(attempts)
        self._offered.clear()
        states: tuple[phone.Outcome, ...] = ("sent", "delivered")
        reports = [
            phone.AttemptReport(attempt=attempt, state=state, at_ms=at) for attempt in attempts for state in states
        ]
        if reports:
            self._seq += 1
            await self._send(socket, phone.Report(seq=self._seq, reports=reports))
        await self._ask(socket)

    async def _ask(self, socket: ClientConnection) -> None:
        await self._send(socket, phone.Ready(places=self._places, held=list(self._offered)))

    async def _send(self, socket: ClientConnection, frame: phone.Frame) -> None:
        await socket.send(_encode(frame).decode())
