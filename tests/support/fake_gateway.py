"""A small gateway that plays the server side of the phone protocol and can be told to misbehave."""

import asyncio
import base64
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from shared.contracts import phone

KEY = "e" * 48

_decoder = msgspec.json.Decoder(phone.FromPhone)


def new_attempt() -> str:
    """A fresh attempt id: 20 bytes of message id and the attempt number 1."""
    return base64.b32encode(secrets.token_bytes(20) + b"\1").decode().rstrip("=").lower()


def new_job(sim: int = 1, *, attempt: str | None = None, valid_s: float = 3600, **more: str) -> phone.Job:
    """A job that can be sent for `valid_s` seconds from now."""
    return phone.Job(
        attempt=attempt or new_attempt(),
        sim=sim,
        number=more.get("number", "+15551234567"),
        text=more.get("text", "hello"),
        valid_until_ms=int((time.time() + valid_s) * 1000),
        channel=more.get("channel", "sms"),
    )


async def until(condition: Callable[[], object], within_s: float = 15.0) -> None:
    """Waits until the condition is true; fails after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


class FakeGateway:
    """Leases, takes and acknowledges as section 4 of the architecture says, for one phone at a time."""

    def __init__(self) -> None:
        self.port = 0
        self.work: dict[str, phone.Job] = {}
        self.state: dict[str, str] = {}
        """Of each attempt: ready, leased, taken or reported."""
        self.taken: list[str] = []
        """The attempts in the order of their taking."""
        self.reports: dict[str, list[phone.AttemptReport]] = defaultdict(list)
        self.texts: dict[str, phone.ReceivedText] = {}
        self.tokens: dict[str, str] = {}
        self.hellos: list[phone.Hello] = []
        self.seen: list[phone.Frame] = []
        self.session = 0
        self.connections: set[ServerConnection] = set()
        self.silent: set[type[phone.Frame]] = set()
        """Frames of these types are read and not answered."""
        self.act_unanswered = False
        """Whether a silent take is done all the same: the answer is lost, not the question."""
        self.refused: set[str] = set()
        """Attempts whose take is refused."""
        self.byes: list[phone.Bye] = []
        """Said instead of welcome, first one first."""
        self.ping_s = 15.0
        self.gives_again = True
        """Whether taken work without a report is offered again after a hello."""
        self._again: set[str] = set()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/phone/v1/socket"

    async def start(self) -> None:
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, ping_interval=None, compression=None, close_timeout=0.5
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Breaks every connection without a word."""
        for connection in self.connections:
            connection.transport.abort()

    async def send(self, *frames: phone.Frame) -> None:
        for connection in list(self.connections):
            for frame in frames:
                await connection.send(msgspec.json.encode(frame), text=True)

    def add(self, *jobs: phone.Job, state: str = "ready") -> None:
        """There is new work that nobody was told of."""
        for job in jobs:
            self.work[job.attempt] = job
            self.state[job.attempt] = state

    async def offer(self, *jobs: phone.Job) -> None:
        """There is new work."""
        self.add(*jobs)
        await self.send(phone.Wake())

    def attempts(self, state: str) -> list[str]:
        """The attempts in a state."""
        return [attempt for attempt, its_state in self.state.items() if its_state == state]

    def count(self, kind: type[phone.Frame]) -> int:
        return sum(isinstance(frame, kind) for frame in self.seen)

    def states(self, attempt: str) -> list[str]:
        return [report.state for report in self.reports[attempt]]

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            hello = _decoder.decode(await connection.recv(decode=False))
            assert isinstance(hello, phone.Hello)
            self.hellos.append(hello)
            answer = self._welcome(hello)
            await connection.send(msgspec.json.encode(answer), text=True)
            if isinstance(answer, phone.Bye):
                return
            self.connections.add(connection)
            for attempt in self.attempts("leased"):
                self.state[attempt] = "ready"
            self._again = set(self.attempts("taken") if self.gives_again else ())
            async for data in connection:
                frame = _decoder.decode(data)
                self.seen.append(frame)
                await self._answer(connection, frame)
        except ConnectionClosed:
            pass
        finally:
            self.connections.discard(connection)

    def _welcome(self, hello: phone.Hello) -> phone.Frame:
        if self.byes:
            return self.byes.pop(0)
        token = None
        if hello.token is None:
            if hello.enrolment_key != KEY:
                return phone.Bye(code="unauthorized", message="no such key", retry_after_s=None)
            token = secrets.token_hex(24)
            self.tokens = {token: "d" * 21}
        elif hello.token not in self.tokens:
            return phone.Bye(code="unauthorized", message="no such token", retry_after_s=None)
        self.session += 1
        return phone.Welcome(
            version=phone.VERSION,
            device="d" * 21,
            session=self.session,
            token=token,
            ping_interval_s=self.ping_s,
        )

    async def _answer(self, connection: ServerConnection, frame: phone.Frame) -> None:
        silent = type(frame) in self.silent
        if silent and not self.act_unanswered:
            return
        answer: phone.Frame | None = None
        match frame:
            case phone.Ready():
                answer = phone.Jobs(jobs=self._lease(frame))
            case phone.Take():
                granted = [a for a in frame.attempts if a not in self.refused and self._take(a)]
                answer = phone.Taken(seq=frame.seq, attempts=granted)
            case phone.Report():
                for report in frame.reports:
                    self.reports[report.attempt].append(report)
                    self.state[report.attempt] = "reported"
                answer = phone.Ack(seq=frame.seq)
            case phone.Received():
                for text in frame.texts:
                    self.texts[text.id] = text
                answer = phone.Ack(seq=frame.seq)
            case phone.Ping():
                answer = phone.Pong(n=frame.n)
        if answer is not None and not silent:
            await connection.send(msgspec.json.encode(answer), text=True)

    def _lease(self, frame: phone.Ready) -> list[phone.Job]:
        places = defaultdict(lambda: 1, frame.places)
        for attempt in self.attempts("leased"):
            places[self.work[attempt].sim] -= 1
        for attempt in self.attempts("ready"):
            sim = self.work[attempt].sim
            if places[sim] > 0:
                places[sim] -= 1
                self.state[attempt] = "leased"
        given = [attempt for attempt in self._again if self.state[attempt] == "taken"] + self.attempts("leased")
        return [self.work[attempt] for attempt in given if attempt not in frame.held]

    def _take(self, attempt: str) -> bool:
        self._again.discard(attempt)
        if self.state.get(attempt) == "leased":
            self.state[attempt] = "taken"
            self.taken.append(attempt)
        return self.state.get(attempt) == "taken"


@asynccontextmanager
async def fake_gateway() -> AsyncIterator[FakeGateway]:
    """A gateway on a free port of this machine."""
    gateway = FakeGateway()
    await gateway.start()
    try:
        yield gateway
    finally:
        gateway.cut()
        await gateway.stop()
