"""One phone's open session: each frame answered in its turn, `take` never behind anything slow."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog

from services.gateway.phones import frames
from services.gateway.phones.admittance import Admitted
from services.gateway.phones.farewell import Farewell
from services.gateway.phones.wire import Gone, Wire
from shared.bus.rpc import RpcClient
from shared.contracts import phone
from shared.contracts.envelope import encode_item
from shared.contracts.registry import DISPATCHER_LEASE, DISPATCHER_TAKE
from shared.contracts.rpc.phones import Lease, TakeAttempts
from shared.errors import SmsFleetError, StaleSession, Unavailable

log = structlog.get_logger()

PING_INTERVAL_S: Final = 15.0
SILENT_INTERVALS: Final = 2
"""A phone that says nothing for this many ping intervals is gone: sooner than its lease would end by itself."""

LEASE_S: Final = 30.0
LEASE_TIMEOUT_S: Final = 5.0
TAKE_TIMEOUT_S: Final = 5.0
"""After this long the phone uses no answer to its take any more, in seconds."""


MAX_TAKES: Final = 16
"""Takes of one phone under way; more stay unanswered, which means "do not send"."""

MAX_REPORTS: Final = 8
"""Reports of one phone on their way to the stream; more stay unacknowledged, so the phone repeats them."""

ASK_AGAIN_S: Final = 1.0
"""After a lease that failed the phone is woken again in this many seconds."""


class Publishes(Protocol):
    """Puts an item on a stream."""

    async def publish(self, item: bytes) -> None:
        """Returns when it is on disk. Raises Unavailable."""


class Means(NamedTuple):
    """What a session works with. `clock` gives Unix seconds; `ping_interval_s` is what phones are told."""

    rpc: RpcClient
    attempts: Publishes
    received: Publishes
    clock: Callable[[], float]
    ping_interval_s: float = PING_INTERVAL_S


class Session:
    """Answers one phone until its connection ends.

    `ready` is answered one at a time, and only the newest that waits; takes and reports are answered as they are
    done. What cannot be answered truthfully is not answered: the phone asks or reports again.
    """

    def __init__(self, wire: Wire, means: Means, admitted: Admitted) -> None:
        """`admitted` has opened the session with the dispatcher."""
        self.account = admitted.account
        self.device = admitted.device
        self.session = admitted.opened.session
        self._admitted = admitted
        self._wire = wire
        self._means = means
        self._ready: phone.Ready | None = None
        self._leasing = False
        self._wake_is_out = False
        self._takes = 0
        self._reports = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Future[Farewell | None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Tells the phone that there may be work, unless it was told and has not asked since."""
        if not self._wake_is_out:
            self._wake_is_out = True
            self._start(self._wire.send(phone.Wake()))

    def end(self, farewell: Farewell | None) -> None:
        """Ends the session; None: without a word."""
        if not self._ending.done():
            self._ending.set_result(farewell)

    async def run(self) -> Farewell | None:
        """Greets and serves the phone until the connection ends. Returns what to say before closing."""
        self._start(self._read())
        try:
            return await self._ending
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        opened = self._admitted.opened
        await self._wire.send(
            phone.Welcome(
                version=phone.VERSION,
                device=self.device,
                session=self.session,
                token=self._admitted.token,
                ping_interval_s=self._means.ping_interval_s,
                lease_s=LEASE_S,
            )
        )
        if opened.again:
            await self._wire.send(phone.Jobs(jobs=opened.again))
        silent = 0
        while silent < SILENT_INTERVALS:
            try:
                frame = await self._wire.receive(self._means.ping_interval_s)
            except TimeoutError:
                silent += 1
                await self._wire.send(phone.Ping(n=silent))
                continue
            silent = 0
            if frame is None:
                log.debug("frame of an unknown type", device=self.device)
                continue
            frames.check(frame)
            await self._heed(frame)
        self.end(None)

    async def _heed(self, frame: phone.FromPhone) -> None:
        match frame:
            case phone.Ready():
                self._wake_is_out = False
                self._ready = frame
                if not self._leasing:
                    self._leasing = True
                    self._start(self._lease())
            case phone.Take() if self._takes < MAX_TAKES:
                self._takes += 1
                self._start(self._take(frame))
            case phone.Report() if self._reports < MAX_REPORTS:
                found = frames.attempts_reported(self.account, self.device, frame, self._means.clock())
                self._reports += 1
                self._start(self._keep(frame.seq, self._means.attempts, found))
            case phone.Received() if self._reports < MAX_REPORTS:
                texts = frames.texts_received(self.account, self.device, frame, self._means.clock())
                self._reports += 1
                self._start(self._keep(frame.seq, self._means.received, texts))
            case phone.Ping():
                await self._wire.send(phone.Pong(n=frame.n))

    async def _lease(self) -> None:
        try:
            while (asked := self._ready) is not None:
                self._ready = None
                question = Lease(
                    account=self.account,
                    device=self.device,
                    session=self.session,
                    places=asked.places,
                    held=asked.held,
                )
                try:
                    leased = await self._means.rpc.ask(DISPATCHER_LEASE, question, LEASE_TIMEOUT_S)
                except StaleSession:
                    raise
                except SmsFleetError as error:
                    log.info("no lease", device=self.device, error=str(error))
                    await self._wire.send(phone.Jobs(jobs=[]))
                    asyncio.get_running_loop().call_later(ASK_AGAIN_S, self._wake_again)
                else:
                    await self._wire.send(phone.Jobs(jobs=leased.jobs))
        finally:
            self._leasing = False

    async def _take(self, asked: phone.Take) -> None:
        question = TakeAttempts(account=self.account, device=self.device, session=self.session, attempts=asked.attempts)
        try:
            taken = await self._means.rpc.ask(DISPATCHER_TAKE, question, TAKE_TIMEOUT_S)
        except Unavailable as error:
            log.info("take not answered", device=self.device, error=str(error))
            return
        finally:
            self._takes -= 1
        await self._wire.send(phone.Taken(seq=asked.seq, attempts=taken.attempts))

    async def _keep(self, seq: int, publisher: Publishes, items: Sequence[msgspec.Struct]) -> None:
        """Acknowledges a report when all of it is on disk."""
        try:
            await asyncio.gather(*(publisher.publish(encode_item(item)) for item in items))
        except Unavailable as error:
            log.info("report not kept", device=self.device, error=str(error))
            return
        finally:
            self._reports -= 1
        await self._wire.send(phone.Ack(seq=seq))

    def _wake_again(self) -> None:
        if not self._ending.done():
            self.wake()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        match task.exception():
            case None:
                return
            case Gone():
                self.end(None)
            case Farewell() as farewell:
                self.end(farewell)
            case StaleSession() as error:
                self.end(Farewell("stale_session", str(error)))
            case error:
                log.error("phone session failed", device=self.device, error=repr(error))
                self.end(Farewell("unavailable", "Something went wrong inside.", 5.0))
