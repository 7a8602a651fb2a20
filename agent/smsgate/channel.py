"""The event channel: a stream that wakes the phone, opened again for ever on the app's own schedule."""

import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

import aiohttp
from yarl import URL

from agent.smsgate import facts
from agent.smsgate.backoff import reconnect_s
from agent.smsgate.clock import Clock
from agent.smsgate.errors import Failure
from agent.smsgate.rest import NETWORK_ERRORS

_DEADLINES: Final = aiohttp.ClientTimeout(total=None, sock_connect=facts.REST_SOCKET_S, sock_read=facts.SSE_SILENCE_S)

log: Final = logging.getLogger("agent.smsgate.channel")


class Event(NamedTuple):
    """One event; `data` is JSON, often `null`."""

    name: str
    data: str


async def events(lines: AsyncIterable[bytes]) -> AsyncIterator[Event]:
    """The events of a stream (1.6): one without a data line is none, one without a name has the app's default."""
    name, data = "", list[str]()
    async for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data:
                yield Event(name or facts.UNNAMED_EVENT, "\n".join(data))
            name, data = "", []
            continue
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


class Channel:
    """The stream of one phone."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: Callable[[], URL],
        token: Callable[[], str],
        clock: Clock,
        on_open: Callable[[], None],
        on_event: Callable[[Event], Awaitable[None]],
        on_close: Callable[[], None],
    ) -> None:
        """`url` may raise Failure. Each open stream is one `on_open` and then one `on_close`."""
        self._session = session
        self._url = url
        self._token = token
        self._clock = clock
        self._on_open = on_open
        self._on_event = on_event
        self._on_close = on_close
        self._failures = 0

    async def run(self) -> None:
        """Listens until cancelled; never registers anew, also not after 401 (1.6)."""
        while True:
            try:
                await self._listen()
                cause = "the server ended it"
            except (*NETWORK_ERRORS, Failure) as error:
                cause = str(error) or type(error).__name__
            self._failures += 1
            wait_s = reconnect_s(self._failures)
            log.info("the event channel is closed: %s; next try in %.0f s", cause, wait_s)
            await self._clock.sleep(wait_s)

    async def _listen(self) -> None:
        headers = {
            "Accept": "text/event-stream",
            "Authorization": f"Bearer {self._token()}",
            "User-Agent": facts.SSE_AGENT,
        }
        async with self._session.get(self._url(), headers=headers, timeout=_DEADLINES) as response:
            if response.status != 200 or response.content_type != "text/event-stream":
                raise Failure(f"GET /events: {response.status} {response.content_type}")
            self._failures = 0
            self._on_open()
            try:
                async for event in events(response.content):
                    await self._on_event(event)
            finally:
                self._on_close()
