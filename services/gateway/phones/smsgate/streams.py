"""The event streams of app phones: each wakes its phone no more often than is of use, and notices when it is gone."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
import structlog

from services.gateway.asgi import Receive, Send
from services.gateway.phones.farewell import Farewell
from services.gateway.phones.smsgate.facts import PING_S
from shared.errors import Unavailable
from shared.runtime.signals import Bell

log = structlog.get_logger()

KEEPALIVE_S: Final = 25.0
WAKE_GAP_S: Final = 1.0
"""Between two wakes: each makes the app give up the call for its list that is under way."""

LIST_GAP_S: Final = 0.3
"""Between a list and the next wake, so that it has arrived."""

UNHEARD_GAP_S: Final = 5.0
"""The same after a list with new messages, until the phone speaks of one of them: a slow link may still be carrying it.

An app that is woken meanwhile gives the answer up, and would be given the same messages again only after minutes.
"""

LONGEST_LIST_S: Final = 20.0
"""A call for a list is over after this many seconds, whether or not anybody has said so."""

MOST_PAUSES: Final = 10
"""A stream opens after at most so many of these pauses."""

LONGEST_GAP_S: Final = 15.0
"""The same after wakes that nobody heard or that were for nothing: doubled each time, up to this."""

FORGIVEN_S: Final = 30.0
"""Such wakes are forgotten after a rest of this many seconds."""

ANSWER_S: Final = 60.0
"""A phone that does not ask for its list this long after a wake does not hear it: its stream ends."""

SILENT_S: Final = 7.0 * PING_S
"""A phone asks at least this often without any wake, by its pings or, without those, every 15 minutes."""

SEND_S: Final = 10.0
MAX_CANCELS: Final = 100
"""Attempts to be asked back that wait to be told; more are in the phone's next list."""

MAX_DRAIN_PAUSE_S: Final = 0.05

_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"close"),
    # nginx holds events back otherwise.
    (b"x-accel-buffering", b"no"),
]
_KEEPALIVE: Final = b":keepalive\n\n"
_ENQUEUED: Final = b"event: MessageEnqueued\ndata: null\n\n"
_SETTINGS: Final = b"event: SettingsUpdated\ndata: null\n\n"


class Stream:
    """One phone's open stream, one of the gateway's connections."""

    __slots__ = (
        "_asking_back",
        "_bell",
        "_farewell",
        "_gap_s",
        "_heard_at",
        "_last_wake_at",
        "_listed_at",
        "_lists",
        "_monotonic",
        "_next_wake_at",
        "_outdated",
        "_unheard",
        "_waked_at",
        "_wanted",
        "_written_at",
        "account",
        "device",
        "session",
    )

    def __init__(self, account: int, device: str, session: int, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds that only grow."""
        self.account = account
        self.device = device
        self.session = session
        self._monotonic = monotonic
        self._bell = Bell()
        self._farewell: Farewell | None = None
        self._asking_back: list[str] = []
        self._wanted = False
        self._outdated = False
        self._lists = 0
        self._gap_s = WAKE_GAP_S
        self._waked_at: float | None = None
        self._last_wake_at = float("-inf")
        self._listed_at = float("-inf")
        self._unheard: frozenset[str] = frozenset()
        self._next_wake_at = self._written_at = self._heard_at = monotonic()

    def wake(self) -> None:
        """There may be work for the phone."""
        self._wanted = True
        self._bell.ring()

    def ask_back(self, attempt: str) -> None:
        """An attempt that the phone has taken is no longer wanted."""
        if len(self._asking_back) < MAX_CANCELS:
            self._asking_back.append(attempt)
            self._bell.ring()

    def outdate(self) -> None:
        """What the phone was told by its settings is out of date."""
        self._outdated = True
        self._bell.ring()

    def end(self, farewell: Farewell | None) -> None:
        """Ends the stream; the phone opens another one in a while."""
        self._farewell = self._farewell or farewell or Farewell("unavailable", "The phone is gone.")
        self._bell.ring()

    def list_begins(self) -> None:
        """The phone has asked for its list, here or elsewhere: a wake would make it give up the answer."""
        self._heard_at = self._monotonic()
        self._lists += 1

    def list_ends(self, fresh: Sequence[str]) -> None:
        """The phone has been given its list, with these new attempts."""
        now = self._heard_at = self._listed_at = self._monotonic()
        self._lists = max(0, self._lists - 1)
        self._unheard = frozenset(fresh)
        if fresh or self._waked_at is None:
            self._gap_s = WAKE_GAP_S
            self._next_wake_at = max(self._last_wake_at + WAKE_GAP_S, now + (UNHEARD_GAP_S if fresh else LIST_GAP_S))
        else:
            self._next_wake_at = now + self._gap_s
        self._waked_at = None
        self._bell.ring()

    def spoke_of(self, attempt: str) -> None:
        """The phone has told of an attempt; if that was new in its last list, the list has arrived."""
        if attempt in self._unheard:
            self._unheard = frozenset()
            self._next_wake_at = max(self._last_wake_at + WAKE_GAP_S, self._listed_at + LIST_GAP_S)
            self._bell.ring()

    async def run(self, receive: Receive, send: Send) -> None:
        """Serves the phone until its connection ends, the stream is ended, or the phone turns out to be gone."""
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._write(send, _KEEPALIVE)
            while self._farewell is None:
                await self._tell(send)
                await self._bell.wait(max(0.0, self._next_at() - self._monotonic()))
            await send({"type": "http.response.body", "body": b""})
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end(None)

    async def _tell(self, send: Send) -> None:
        now = self._monotonic()
        while self._asking_back:
            told = msgspec.json.encode({"messageId": self._asking_back.pop(0)})
            await self._write(send, b"event: MessageCancelled\ndata: " + told + b"\n\n")
        if self._outdated:
            self._outdated = False
            await self._write(send, _SETTINGS)
        if self._may_wake() and now >= self._next_wake_at:
            if now - self._next_wake_at > FORGIVEN_S:
                self._gap_s = WAKE_GAP_S
            self._wanted = False
            self._last_wake_at = now
            self._waked_at = now if self._waked_at is None else self._waked_at
            self._next_wake_at = now + self._gap_s
            self._gap_s = min(self._gap_s * 2, LONGEST_GAP_S)
            await self._write(send, _ENQUEUED)
        if now - self._written_at >= KEEPALIVE_S:
            await self._write(send, _KEEPALIVE)
        if now >= self._gone_at():
            log.info("phone does not answer", device=self.device)
            self.end(None)

    def _may_wake(self) -> bool:
        if self._monotonic() >= self._heard_at + LONGEST_LIST_S:
            # The gateway that was asked has died, or what it said was lost.
            self._lists = 0
        return self._wanted and not self._lists

    def _gone_at(self) -> float:
        silent = self._heard_at + SILENT_S
        return silent if self._waked_at is None else min(silent, self._waked_at + ANSWER_S)

    def _next_at(self) -> float:
        soonest = min(self._written_at + KEEPALIVE_S, self._gone_at())
        if self._may_wake():
            return min(soonest, self._next_wake_at)
        return min(soonest, self._heard_at + LONGEST_LIST_S) if self._wanted else soonest

    async def _write(self, send: Send, chunk: bytes) -> None:
        self._written_at = self._monotonic()
        try:
            async with asyncio.timeout(SEND_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            self.end(None)


class Streams:
    """The open streams of this gateway by device: the newest of several, as the gateway's connections have it."""

    def __init__(self) -> None:
        """None is open."""
        self._of: dict[str, Stream] = {}
        self._listing: dict[str, int] = {}
        self._draining = False

    def __len__(self) -> int:
        """How many are open."""
        return len(self._of)

    @property
    def draining(self) -> bool:
        """Whether the gateway is stopping."""
        return self._draining

    def check_open(self) -> None:
        """Raises Unavailable while the gateway is stopping: another replica takes the phone."""
        if self._draining:
            raise Unavailable("This gateway is stopping.")

    @contextlib.contextmanager
    def held(self, stream: Stream) -> Iterator[None]:
        """The stream is the phone's for the context's time, or until there is a newer one."""
        self._of[stream.device] = stream
        try:
            yield
        finally:
            if self._of.get(stream.device) is stream:
                del self._of[stream.device]

    def of(self, device: str) -> Stream | None:
        """The phone's stream, where it is open here."""
        return self._of.get(device)

    def list_begins(self, device: str) -> None:
        """The phone has asked for its list here; every beginning has its end."""
        self._listing[device] = self._listing.get(device, 0) + 1
        if stream := self._of.get(device):
            stream.list_begins()

    def list_ends(self, device: str, fresh: Sequence[str]) -> None:
        """It has been given it, with these new attempts."""
        self._listing[device] -= 1
        if not self._listing[device]:
            del self._listing[device]
        if stream := self._of.get(device):
            stream.list_ends(fresh)

    async def pause(self, device: str) -> None:
        """Returns when the phone's call for its list, with which the app starts, has had time to be answered.

        The app asks again as soon as its stream is open, and gives up the call that is under way then.
        """
        for _ in range(MOST_PAUSES):
            await asyncio.sleep(LIST_GAP_S)
            if device not in self._listing:
                return

    async def drain(self, window_s: float) -> None:
        """Ends all streams, spread over so many seconds: the app comes back 5 s later, to the second."""
        self._draining = True
        streams = list(self._of.values())
        pause_s = min(window_s / len(streams), MAX_DRAIN_PAUSE_S) if streams else 0.0
        for stream in streams:
            stream.end(Farewell("shutting_down", "This gateway is stopping.", None))
            await asyncio.sleep(pause_s)
