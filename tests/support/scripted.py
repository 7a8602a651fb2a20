"""A phone that a test plays over the real socket: the text of a job says what becomes of it."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from shared.contracts import phone
from shared.model.ids import parse_attempt_id
from tests.support.waiting import until

FAIL = "fail:"
"""A text that opens with this is refused by the radio for good."""

KEEP = "keep:"
"""One that opens with this is taken and never reported on."""

LEAVE = "leave:"
"""One that opens with this is held and never taken."""

SIMS = (1, 2)
PLACES = 4


class ScriptedPhone:
    """Enrols when the context opens, does its work while it is open; performs nothing but notes."""

    def __init__(self, base_url: str, enrolment_key: str, channels: Sequence[str] = ("sms",)) -> None:
        """`channels`: what it says that it serves."""
        self._url = "ws" + base_url.removeprefix("http") + "/phone/v1/socket"
        self._enrolment_key = enrolment_key
        self._channels = list(channels)
        self._seq = 0
        self._held: dict[str, phone.Job] = {}
        self._acked: set[int] = set()
        self._settled: set[str] = set()
        self._connection: ClientConnection | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._token: str | None = None
        self._journal = secrets.token_hex(16)
        self._sessions = 0
        self.name = f"scripted-{secrets.token_hex(3)}"
        self.device = ""
        self.performed: list[phone.Job] = []
        """The jobs that it was given to send and that it says to have sent, in their order."""
        self.taken: set[str] = set()
        """The messages that it took, in whatever way they ended."""

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def lose_memory(self) -> None:
        """Connects anew as the same device with a new journal: it knows nothing of what it took."""
        self._journal = secrets.token_hex(16)
        await self._connect_anew()

    async def be_there(self) -> None:
        """Connects anew, with its memory, if it was let go: no phone answers pings while a test blocks its loop."""
        assert self._connection is not None
        try:
            async with asyncio.timeout(5):
                await (await self._connection.ping())
        except (ConnectionClosed, TimeoutError):
            await self._connect_anew()

    async def _connect_anew(self) -> None:
        await self._close()
        self._held.clear()
        await self._open()

    async def _open(self) -> None:
        sessions = self._sessions
        self._connection = await connect(self._url, proxy=None, close_timeout=1, compression=None)
        self._hearing = asyncio.create_task(self._hear())
        await self._say(
            phone.Hello(
                version=phone.VERSION,
                journal=self._journal,
                name=self.name,
                sims=[phone.Sim(slot=slot, number=f"+1555999000{slot}", carrier="Scripted") for slot in SIMS],
                token=self._token,
                enrolment_key=None if self._token else self._enrolment_key,
                channels=self._channels,
                software="scripted 1.0",
            )
        )

        async def welcome() -> bool:
            return self._sessions > sessions

        await until(welcome, "the phone is welcome")

    async def _close(self) -> None:
        assert self._connection is not None
        assert self._hearing is not None
        await self._connection.close()
        await self._hearing

    async def receive(self, number: str, text: str, *, utc_offset_min: int = 60) -> None:
        """A text arrives at the phone; on return it is on the gateway's disk."""
        self._seq += 1
        seq = self._seq
        now_ms = time.time_ns() // 1_000_000
        arrived = phone.ReceivedText(
            id=secrets.token_hex(8), sim=1, number=number, text=text, at_ms=now_ms, utc_offset_min=utc_offset_min
        )
        await self._say(phone.Received(seq=seq, texts=[arrived]))

        async def acked() -> bool:
            return seq in self._acked

        await until(acked, "the gateway has the received text")

    async def report(self, attempt: str, state: phone.Outcome) -> None:
        """Says what became of any attempt, its own or not; on return it is on the gateway's disk."""
        self._seq += 1
        seq = self._seq
        await self._say(phone.Report(seq=seq, reports=[self._reported(attempt, state)]))

        async def acked() -> bool:
            return seq in self._acked

        await until(acked, "the gateway has the report")

    def of(self, guid: str) -> list[phone.Job]:
        """What it sent of this message."""
        return [job for job in self.performed if _message(job.attempt) == guid]

    async def _hear(self) -> None:
        assert self._connection is not None
        try:
            async for data in self._connection:
                await self._on(msgspec.json.decode(data, type=phone.FromGateway))
        except ConnectionClosed:
            return

    async def _on(self, frame: phone.FromGateway) -> None:
        match frame:
            case phone.Welcome():
                self.device = frame.device
                self._token = frame.token or self._token
                self._sessions += 1
                await self._ready()
            case phone.Wake():
                await self._ready()
            case phone.Jobs():
                await self._offered(frame.jobs)
            case phone.Taken():
                await self._taken(frame.attempts)
            case phone.Ack():
                self._acked.add(frame.seq)
            case phone.Ping():
                await self._say(phone.Pong(n=frame.n))

    async def _offered(self, jobs: Sequence[phone.Job]) -> None:
        new = [job for job in jobs if job.attempt not in self._held and job.attempt not in self._settled]
        self._held |= {job.attempt: job for job in new}
        if wanted := [job.attempt for job in new if not job.text.startswith(LEAVE)]:
            self._seq += 1
            await self._say(phone.Take(seq=self._seq, attempts=wanted))

    async def _taken(self, attempts: Sequence[str]) -> None:
        reports: list[phone.AttemptReport] = []
        for attempt in attempts:
            job = self._held.pop(attempt)
            self._settled.add(attempt)
            self.taken.add(_message(attempt))
            if job.text.startswith(FAIL):
                reports.append(self._reported(attempt, "failed", "invalid_number"))
            elif not job.text.startswith(KEEP):
                self.performed.append(job)
                reports += [self._reported(attempt, "sent"), self._reported(attempt, "delivered")]
        if reports:
            self._seq += 1
            await self._say(phone.Report(seq=self._seq, reports=reports))
        await self._ready()

    def _reported(self, attempt: str, state: phone.Outcome, reason: str | None = None) -> phone.AttemptReport:
        return phone.AttemptReport(attempt=attempt, state=state, at_ms=time.time_ns() // 1_000_000, reason=reason)

    async def _ready(self) -> None:
        await self._say(phone.Ready(places=dict.fromkeys(SIMS, PLACES), held=list(self._held)))

    async def _say(self, frame: phone.Frame) -> None:
        assert self._connection is not None
        await self._connection.send(msgspec.json.encode(frame).decode())


def _message(attempt: str) -> str:
    """The message that the attempt is one of."""
    parsed = parse_attempt_id(attempt)
    assert parsed is not None, attempt
    return parsed[0].hex()
