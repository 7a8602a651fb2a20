"""What open pages are told: by whom, for how long, and that nothing stays of those that were closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from nats.aio.client import Client
from yarl import URL

from services.gateway.dashboard.frame import live
from services.gateway.dashboard.frame.live import Live
from shared.contracts import registry
from shared.contracts.live import Hints
from shared.contracts.rpc.auth import SetAccount
from shared.runtime.settings import ServiceSettings
from tests.support.browser import Browser
from tests.support.dashboards import Dashboard, running_dashboard
from tests.support.waiting import until

ENDS_S = 10
"""A stream that should end has ended after so many seconds."""

MESSAGES = msgspec.msgpack.encode(Hints(["messages"]))


@pytest.fixture
async def dashboard(
    settings: ServiceSettings, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Dashboard]:
    monkeypatch.setattr(live, "KEEPALIVE_S", 0.4)
    monkeypatch.setattr(live, "PAUSE_S", 0.05)
    async with running_dashboard(settings, nats_client) as running:
        yield running


@contextlib.asynccontextmanager
async def busy(client: Client, account: int) -> AsyncIterator[None]:
    """Something of the account changes all the time."""

    async def go_on() -> None:
        while True:
            await client.publish(registry.live_subject(account), MESSAGES)
            await asyncio.sleep(0.02)

    changing = asyncio.create_task(go_on())
    try:
        yield
    finally:
        changing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await changing


@contextlib.asynccontextmanager
async def stream(browser: Browser) -> AsyncIterator[aiohttp.StreamReader]:
    """The events that an open page of this browser hears."""
    jar = aiohttp.CookieJar(unsafe=True)
    jar.update_cookies(browser.cookies, URL(browser.url))
    async with (
        aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.get(f"{browser.url}/dashboard/live") as answer,
    ):
        assert answer.status == 200
        yield answer.content


async def heard(events: aiohttp.StreamReader) -> None:
    """Returns when the page is told of a change."""
    async with asyncio.timeout(ENDS_S):
        while await events.readline() != b"data: messages\n":
            pass


async def ends(events: aiohttp.StreamReader) -> None:
    async with asyncio.timeout(ENDS_S):
        while await events.readline():
            pass


async def test_who_signed_out_hears_no_more_however_much_there_is_to_hear(
    dashboard: Dashboard, nats_client: Client
) -> None:
    async with (
        dashboard.signed_in() as leaving,
        dashboard.signed_in() as staying,
        busy(nats_client, dashboard.account),
        stream(leaving) as first,
        stream(staying) as second,
    ):
        await heard(first)
        assert (await leaving.submit(await leaving.get("/dashboard/profile"), "/dashboard/sign-out")).status == 303
        await ends(first)
        await heard(second)


@pytest.mark.parametrize("is_busy", [True, False])
async def test_a_suspended_account_hears_no_more(dashboard: Dashboard, nats_client: Client, *, is_busy: bool) -> None:
    about = busy(nats_client, dashboard.account) if is_busy else contextlib.nullcontext()
    async with dashboard.signed_in() as browser, about, stream(browser) as events:
        await dashboard.ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=dashboard.account, status="suspended"))
        await ends(events)


async def test_nothing_stays_of_pages_that_came_and_went_at_once(nats_client: Client) -> None:
    pages, before = Live(nats_client), nats_client._subs.copy()

    async def look(account: int) -> None:
        async with pages.listening(account):
            await asyncio.sleep(0)

    for _ in range(50):
        looking = [asyncio.create_task(look(account)) for account in (1, 1, 2, 3)]
        await asyncio.sleep(0)
        for task in looking[::2]:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    async def empty() -> bool:
        return nats_client._subs == before

    await until(empty, "nobody listens any more")
    async with pages.listening(1) as listener:
        await nats_client.publish(registry.live_subject(1), MESSAGES)
        assert await listener.next() == ["messages"]
