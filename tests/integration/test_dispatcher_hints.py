"""Open pages are told that something changed: soon, rarely, by account, and never at the live path's cost."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.dispatcher import hints
from services.dispatcher.hints import Hinter
from services.dispatcher.searching import Searching
from services.dispatcher.store.search import Search
from services.dispatcher.store.stories import Stories
from shared.bus.connection import settled
from shared.contracts.live import Hints
from shared.contracts.registry import ALL_LIVE
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, submit_sms
from tests.support.searching import truth
from tests.support.waiting import until


@pytest.fixture
async def told(plain_client: Client) -> AsyncIterator[list[tuple[str, list[str]]]]:
    """What every account is told."""
    heard: list[tuple[str, list[str]]] = []

    async def hear(message: Msg) -> None:
        heard.append((message.subject, list(msgspec.msgpack.decode(message.data, type=Hints).kinds)))

    subscription = await plain_client.subscribe(ALL_LIVE, cb=hear)
    await settled(plain_client)
    yield heard
    await subscription.unsubscribe()


async def test_an_account_is_told_once_of_all_that_changed(
    plain_client: Client, told: list[tuple[str, list[str]]]
) -> None:
    hinter = Hinter(plain_client)
    for _ in range(100):
        hinter.note("messages", [7, 8])
        hinter.note("inbox", [7])
    await hinter.tell()
    await hinter.tell()
    hinter.note("phones", [7])
    await hinter.tell()

    async def three() -> bool:
        return len(told) >= 3

    await until(three, "each telling is heard")
    assert sorted(told) == [("live.7", ["inbox", "messages"]), ("live.7", ["phones"]), ("live.8", ["messages"])]


async def test_memory_and_one_telling_are_bounded(
    plain_client: Client, told: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "MAX_ACCOUNTS", 5)
    monkeypatch.setattr(hints, "AT_ONCE", 3)
    hinter = Hinter(plain_client)
    hinter.note("messages", range(1000))
    for expected in (3, 5, 5):
        await hinter.tell()
        await settled(plain_client)

        async def heard(expected: int = expected) -> bool:
            return len(told) == expected

        await until(heard, f"{expected} accounts are told")


async def test_the_search_tells_of_changes_that_nobody_else_does(
    pool: Pool, plain_client: Client, told: list[tuple[str, list[str]]]
) -> None:
    stores, hinter = await Stores.on(pool), Hinter(plain_client)
    searching = Searching(Search(pool), hinter, lambda: True)
    await stores.messages.submit([submit_sms("+15551230001"), submit_sms("+15551230001", account=ACCOUNT + 1)])
    await searching.tick()
    await hinter.tell()
    (message,) = await truth(pool)
    assert (await Stories(pool).cancel(message.id, ACCOUNT)).outcome == "canceled"
    await searching.tick()
    await hinter.tell()
    await searching.tick()
    await hinter.tell()

    async def heard() -> bool:
        return len(told) >= 3

    await until(heard, "both changes are told")
    await settled(plain_client)
    assert sorted(subject for subject, _ in told) == [f"live.{ACCOUNT}", f"live.{ACCOUNT}", f"live.{ACCOUNT + 1}"]


async def test_without_nats_nobody_waits() -> None:
    hinter = Hinter(Client())
    hinter.note("messages", [7])
    async with asyncio.timeout(1):
        with pytest.raises(nats.errors.Error):
            await hinter.tell()
        await hinter.tell()
