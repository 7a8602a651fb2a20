"""Tells open pages that something changed: hints of the dispatcher on NATS become server-sent events.

An event names kinds of things ("messages", "inbox", "phones"); the page reads itself again. A lost hint is made up for
by the page's own slow clock (static/app.js).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.exceptions import ServiceUnavailableException
from litestar.response import Stream
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.gateway.dashboard.door.visitors import Visitor, VisitorRequest, Visitors
from services.gateway.errors import Suspended
from services.gateway.scopes import OPT
from shared.contracts import registry
from shared.contracts.live import Hints
from shared.errors import Unavailable

MAX_STREAMS: Final = 1000
PAUSE_S: Final = 0.5
"""Least time between two events of one stream."""

KEEPALIVE_S: Final = 20.0
"""A comment at least so often, and whoever was signed out meanwhile hears no more, however much there is to hear."""

_decode = msgspec.msgpack.Decoder(Hints).decode


class Listener:
    """What one open page has not been told yet."""

    def __init__(self) -> None:
        """Nothing to tell."""
        self._kinds: set[str] = set()
        self._told = asyncio.Event()
        self.ended = False

    def hint(self, kinds: list[Any]) -> None:
        """Something of these kinds changed."""
        self._kinds.update(kinds)
        self._told.set()

    def end(self) -> None:
        """There will be no more."""
        self.ended = True
        self._told.set()

    async def next(self) -> list[str]:
        """The kinds that changed since the last call; empty when nothing did for KEEPALIVE_S, or at the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEEPALIVE_S):
                await self._told.wait()
        self._told.clear()
        kinds, self._kinds = sorted(self._kinds), set()
        return kinds


class Live:
    """The open pages by account; an account is listened to while it has any."""

    def __init__(self, client: Client) -> None:
        """`client` hears the hints."""
        self._client = client
        self._listeners: dict[int, set[Listener]] = {}
        self._subscriptions: dict[int, Subscription] = {}
        self._changing = asyncio.Lock()
        self._count = 0
        self._closing = False

    @property
    def full(self) -> bool:
        """Whether there are as many open pages as there may be, or the gateway is going."""
        return self._closing or self._count >= MAX_STREAMS

    @contextlib.asynccontextmanager
    async def listening(self, account: int) -> AsyncIterator[Listener]:
        """A listener of this account's hints for the context's time."""
        listener = Listener()
        self._listeners.setdefault(account, set()).add(listener)
        self._count += 1
        try:
            await asyncio.shield(self._level(account))
            yield listener
        finally:
            self._count -= 1
            self._listeners[account].discard(listener)
            await asyncio.shield(self._level(account))

    def close(self) -> None:
        """Ends every stream; browsers come back to another gateway, or to this one when it is there again."""
        self._closing = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()

    async def _level(self, account: int) -> None:
        """Subscribes for an account with listeners, unsubscribes for one without."""
        async with self._changing:
            listeners = self._listeners.get(account)
            if listeners and account not in self._subscriptions:
                subject = registry.live_subject(account)
                self._subscriptions[account] = await self._client.subscribe(subject, cb=self._heard(account))
            elif not listeners:
                self._listeners.pop(account, None)
                if (subscription := self._subscriptions.pop(account, None)) is not None:
                    with contextlib.suppress(Exception):
                        await subscription.unsubscribe()

    def _heard(self, account: int) -> Callable[[Msg], Any]:
        async def heard(message: Msg) -> None:
            with contextlib.suppress(msgspec.MsgspecError):
                kinds = _decode(message.data).kinds
                for listener in self._listeners.get(account, ()):
                    listener.hint(list(kinds))

        return heard


@get("/live", opt={OPT: "sms:read"}, include_in_schema=False)
async def live(request: VisitorRequest, live: NamedDependency[Live], visitors: NamedDependency[Visitors]) -> Stream:
    """Server-sent events (HTML standard, 9.2): `changed`, whose data are kinds separated by blanks."""
    if live.full:
        raise ServiceUnavailableException
    return Stream(
        _events(request, live, visitors, request.user),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(request: VisitorRequest, live: Live, visitors: Visitors, visitor: Visitor) -> AsyncIterator[bytes]:
    async with live.listening(visitor.account) as listener:
        yield b"retry: 3000\n\n"
        asked_at = time.monotonic()
        while not listener.ended:
            kinds = await listener.next()
            if not kinds or time.monotonic() - asked_at >= KEEPALIVE_S:
                if not await _still(visitors, request):
                    return
                asked_at = time.monotonic()
            if kinds:
                yield f"event: changed\ndata: {' '.join(kinds)}\n\n".encode()
                await asyncio.sleep(PAUSE_S)
            else:
                yield b":\n\n"


async def _still(visitors: Visitors, request: VisitorRequest) -> bool:
    """Whether the visitor may still be here; yes while that cannot be known."""
    try:
        return await visitors.identify(request) is not None
    except Unavailable:
        return True
    except Suspended:
        return False
