"""The app's stream through Caddy, read as the app reads it: in chunks of HTTP/1.1, and in frames of HTTP/2."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from yarl import URL

from agent.smsgate.channel import Channel, Event, events
from agent.smsgate.clock import DeviceClock
from agent.smsgate.rest import new_session
from shared.contracts import registry
from shared.contracts.rpc.messages import CancelMessage
from tests.support.caddies import Front, local_caddy
from tests.support.h2 import answer_of
from tests.support.servers import Servers
from tests.support.smsgate_calls import Caller
from tests.support.smsgate_world import World, world

PATH = "/mobile/v1/events"
WITHIN_S = 1.0
"""In which the stream is open, and in which each event arrives."""

TEXTS = 3


class Heard:
    """The events of one phone, each waited for by itself."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    async def next(self, since: float) -> Event:
        """The next one, which arrives soon after a moment. Raises TimeoutError."""
        async with asyncio.timeout(since + WITHIN_S - time.monotonic()):
            return await self.events.get()


@contextlib.asynccontextmanager
async def by_http1(front: Front, phone: Caller) -> AsyncIterator[Heard]:
    """As the app does where a proxy offers nothing newer; through it the answer comes in chunks."""
    heard, opened = Heard(), asyncio.Event()
    async with new_session(None, front.context()) as session:
        channel = Channel(
            session,
            url=lambda: URL(front.url + PATH),
            token=lambda: str(phone.token),
            clock=DeviceClock(),
            on_open=opened.set,
            on_event=heard.events.put,
            on_close=lambda: None,
        )
        listening = asyncio.create_task(channel.run())
        try:
            async with asyncio.timeout(WITHIN_S):
                await opened.wait()
            yield heard
        finally:
            listening.cancel()
            await asyncio.wait((listening,), timeout=5)


@contextlib.asynccontextmanager
async def by_http2(front: Front, phone: Caller) -> AsyncIterator[Heard]:
    """As the app does with this Caddy."""
    heard = Heard()

    async def listen() -> None:
        async for event in events(lines):
            await heard.events.put(event)

    token = {"authorization": f"Bearer {phone.token}"}
    async with answer_of("localhost", front.port, front.context("h2", "http/1.1"), PATH, **token) as lines:
        async with asyncio.timeout(WITHIN_S):
            await lines.begun()
        listening = asyncio.create_task(listen())
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.wait((listening,), timeout=5)


@pytest.fixture(scope="module")
async def here(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        await running.begin()
        yield running


@pytest.fixture(scope="module")
async def front(here: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with local_caddy(Path(tmp_path_factory.mktemp("caddy")) / "home", here.settings.port) as running:
        yield running


@pytest.mark.parametrize("connect", [by_http1, by_http2])
async def test_each_event_arrives_at_once(
    here: World,
    front: Front,
    connect: Callable[[Front, Caller], AbstractAsyncContextManager[Heard]],
) -> None:
    phone, account = await here.caller(), here.account.account
    async with connect(front, phone) as heard:
        began = time.monotonic()
        guids = [await here.send(f"text {n}", sIdentifiant=phone.device) for n in range(TEXTS)]
        assert await heard.next(began) == Event("MessageEnqueued", "null")
        await here.ready(*guids)
        items = await phone.pull()
        assert len(items) == TEXTS
        for guid in guids:
            began = time.monotonic()
            await here.ask.ask(registry.DISPATCHER_CANCEL, CancelMessage(account=account, message=bytes.fromhex(guid)))
            event = await heard.next(began)
            assert event.name == "MessageCancelled"
            assert event.data in {f'{{"messageId":"{item["id"]}"}}' for item in items}
        began = time.monotonic()
        await here.pause(phone.device, 1000, 2000)
        assert await heard.next(began) == Event("SettingsUpdated", "null")
