"""One open connection: the frames of one session with the gateway, from after `welcome` until it ends."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, assert_never

import msgspec
from websockets.asyncio.client import ClientConnection

from agent.journal import Numbered
from agent.ledger import Ledger
from agent.outbox import Outbox
from agent.settings import Limits
from agent.work import Desk
from shared.contracts import phone

MIN_PING_S: Final = 0.05
MAX_PING_S: Final = 300.0
_UNREAD_JOBS: Final = 4

log = logging.getLogger("agent.session")

_decoder = msgspec.json.Decoder(phone.FromGateway)
_encoder = msgspec.json.Encoder()
_known_types = frozenset(
    str(frame.__struct_config__.tag) for frame in phone.FromGateway.__args__ if issubclass(frame, phone.Frame)
)


class _AnyFrame(msgspec.Struct):
    type: str


class Broken(Exception):
    """The gateway does not speak the protocol or has gone silent."""


class Farewell(Exception):
    """The gateway said `bye`."""

    def __init__(self, bye: phone.Bye) -> None:
        """`bye` says why."""
        super().__init__(f"{bye.code}: {bye.message}")
        self.bye = bye


class Wire:
    """Frames instead of bytes, each with a deadline."""

    def __init__(self, socket: ClientConnection, limits: Limits) -> None:
        """`socket` is open."""
        self._socket = socket
        self._send_s = limits.send_s

    async def send(self, frame: phone.Frame) -> None:
        """Sends one frame; raises TimeoutError when it cannot leave."""
        async with asyncio.timeout(self._send_s):
            await self._socket.send(_encoder.encode(frame), text=True)

    async def receive(self) -> phone.FromGateway | None:
        """The next frame, or None for one of a type that this version does not know.

        Waits as long as it takes: whoever calls it bounds the wait. Raises Broken or Farewell.
        """
        data = await self._socket.recv(decode=False)
        try:
            frame: phone.FromGateway = _decoder.decode(data)
        except msgspec.MsgspecError as error:
            if _is_of_unknown_type(data):
                return None
            raise Broken(f"the gateway sent something that is no frame ({error})") from error
        if isinstance(frame, phone.Bye):
            raise Farewell(frame)
        return frame


def _is_of_unknown_type(data: bytes | str) -> bool:
    try:
        return msgspec.json.decode(data, type=_AnyFrame).type not in _known_types
    except msgspec.MsgspecError:
        return False


class Session:
    """Asks for work, takes it and reports; ends only by an exception."""

    def __init__(
        self,
        *,
        wire: Wire,
        welcome: phone.Welcome,
        desk: Desk,
        ledger: Ledger,
        limits: Limits,
        now_ms: Callable[[], int],
        next_seq: Callable[[], int],
        on_taken: Callable[[], None],
        on_acked: Callable[[], None],
    ) -> None:
        """`next_seq` never repeats in this process. `on_taken`: radios may have work."""
        self._wire = wire
        self._ping_s = min(max(welcome.ping_interval_s, MIN_PING_S), MAX_PING_S)
        self._desk = desk
        self._ledger = ledger
        self._limits = limits
        self._now_ms = now_ms
        self._next_seq = next_seq
        self._on_taken = on_taken
        self._on_acked = on_acked
        self._bell = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._heard_at = self._clock()
        self._ready_at: float | None = None
        self._asked_at = self._clock()
        self._takes: dict[int, tuple[float, list[str]]] = {}
        self._jobs: asyncio.Queue[phone.Jobs] = asyncio.Queue(_UNREAD_JOBS)
        self._reports = self._outbox(ledger.waiting_reports, _report, ledger.reports_acked)
        self._texts = self._outbox(ledger.waiting_texts, _received, ledger.texts_acked)

    async def run(self) -> None:
        """Runs until the connection ends; raises an exception group that says how."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._judge())
            tasks.create_task(self._pump())
            tasks.create_task(self._reports.run())
            tasks.create_task(self._texts.run())
            tasks.create_task(self._ping())

    def place_free(self) -> None:
        """The radio began with a job, or the desk was closed."""
        self._bell.set()

    def report_kept(self) -> None:
        """The journal holds something new for the gateway."""
        self._reports.ring()
        self._texts.ring()

    async def _read(self) -> None:
        while True:
            frame = await self._wire.receive()
            self._heard_at = self._clock()
            match frame:
                case phone.Jobs():
                    self._unread(frame)
                case phone.Taken():
                    self._taken(frame)
                case phone.Ack():
                    if self._reports.ack(frame.seq) or self._texts.ack(frame.seq):
                        self._on_acked()
                case phone.Wake():
                    self._desk.wake()
                    self._bell.set()
                case phone.Ping():
                    await self._wire.send(phone.Pong(n=frame.n))
                case phone.Pong():
                    pass
                case None:
                    log.info("a frame of an unknown type is ignored")
                case phone.Welcome():
                    raise Broken("the gateway said welcome twice")
                case phone.Bye():
                    raise Farewell(frame)
                case _:
                    assert_never(frame)

    def _unread(self, frame: phone.Jobs) -> None:
        # What is dropped here is offered again after the next `ready`.
        if self._jobs.full():
            log.warning("more jobs than were asked for; a frame of %d is dropped", len(frame.jobs))
        else:
            self._jobs.put_nowait(frame)

    def _taken(self, frame: phone.Taken) -> None:
        # An answer that comes too late, or twice, names no take that waits; nothing of it is sent.
        _, asked = self._takes.pop(frame.seq, (0.0, []))
        self._desk.taken(asked, frame.attempts)
        self._bell.set()
        self._on_taken()

    async def _judge(self) -> None:
        """Sorts offered jobs. A task of its own, so that `taken` never waits for the journal."""
        while True:
            frame = await self._jobs.get()
            fresh = [job for job in frame.jobs if not self._desk.in_hand(job.attempt)]
            known = await self._ledger.states([job.attempt for job in fresh]) if fresh else {}
            again: list[str] = []
            interrupted: list[str] = []
            for job in fresh:
                match self._desk.offer(job, known.get(job.attempt), self._now_ms()):
                    case "report_again":
                        again.append(job.attempt)
                    case "report_unknown":
                        interrupted.append(job.attempt)
                    case "held" | "ignored":
                        pass
            self._ready_at = None
            self._bell.set()
            if interrupted:
                await self._ledger.settle_interrupted(interrupted, self._now_ms())
            if again:
                await self._ledger.report_again(again)
            if interrupted or again:
                self._reports.ring()

    async def _pump(self) -> None:
        """Sends `take` and `ready` as the desk wants them."""
        while True:
            self._bell.clear()
            now = self._clock()
            for seq in [seq for seq, (deadline, _) in self._takes.items() if now >= deadline]:
                self._desk.take_unanswered(self._takes.pop(seq)[1])
            if attempts := self._desk.to_take(self._now_ms()):
                seq = self._next_seq()
                self._takes[seq] = (now + self._limits.take_s, attempts)
                await self._wire.send(phone.Take(seq=seq, attempts=attempts))
            lost = self._ready_at is not None and now - self._ready_at >= self._limits.ready_s
            idle = now - self._asked_at >= self._limits.ready_s
            if (self._ready_at is None or lost) and self._desk.wants_to_ask(idle=idle):
                self._ready_at = self._asked_at = now
                await self._wire.send(self._desk.ready())
            try:
                async with asyncio.timeout_at(self._next_check(now)):
                    await self._bell.wait()
            except TimeoutError:
                continue

    def _next_check(self, now: float) -> float:
        # With no place free the next chance to ask comes with a ring, not with the time.
        ask_at = self._asked_at + self._limits.ready_s
        if ask_at <= now:
            ask_at = now + self._limits.ready_s
        return min([ask_at, *(deadline for deadline, _ in self._takes.values())])

    async def _ping(self) -> None:
        n = 0
        while True:
            await asyncio.sleep(self._ping_s)
            if self._clock() - self._heard_at > 2 * self._ping_s:
                raise Broken("the gateway has gone silent")
            n += 1
            await self._wire.send(phone.Ping(n=n))

    def _outbox(
        self,
        load: Callable[[int, int], asyncio.Future[list[Numbered]]],
        wrap: Callable[[int, list[Numbered]], phone.Frame],
        acked: Callable[[Sequence[int]], object],
    ) -> Outbox:
        return Outbox(
            load=load,
            wrap=wrap,
            acked=acked,
            next_seq=self._next_seq,
            send=self._wire.send,
            ack_s=self._limits.ack_s,
        )


def _report(seq: int, items: list[Numbered]) -> phone.Frame:
    return phone.Report(seq=seq, reports=[n.item for n in items if isinstance(n.item, phone.AttemptReport)])


def _received(seq: int, items: list[Numbered]) -> phone.Frame:
    return phone.Received(seq=seq, texts=[n.item for n in items if isinstance(n.item, phone.ReceivedText)])
