"""What a page of messages costs: as many statements and questions for a thousand rows as for one."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.gateway import store
from services.gateway.dashboard.store import messages
from services.gateway.reading import READ_DEADLINE_S, reading
from shared.db.pool import Pool
from tests.support.browser import Browser
from tests.support.dispatching import Stores, submit_sms
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.visiting import visiting

LIST = "/dashboard/messages"


@pytest.fixture
async def here(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        await running.begin()
        yield running


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that the gateway's stores of messages make."""
    made: list[str] = []

    def note(record: Any) -> None:
        made.append(record.query)

    @contextlib.asynccontextmanager
    async def noted(pool: Pool, deadline_s: float = READ_DEADLINE_S) -> AsyncIterator[Any]:
        async with reading(pool, deadline_s) as connection:
            connection.add_query_logger(note)
            try:
                yield connection
            finally:
                connection.remove_query_logger(note)

    for module in (store, messages):
        monkeypatch.setattr(module, "reading", noted)
    return made


def asked() -> int:
    """How many questions this process has asked of the dispatcher for people's pages."""
    return sum(
        int(REGISTRY.get_sample_value("smsfleet_rpc_asked_total", {"rpc": rpc, "outcome": "ok"}) or 0)
        for rpc in ("rpc.dispatcher.device_names", "rpc.dispatcher.message_show")
    )


async def cost(browser: Browser, path: str, statements: list[str]) -> tuple[int, int]:
    """The statements and questions of one page."""
    statements.clear()
    before = asked()
    assert (await browser.get(path)).status == 200
    # The clock and the check of phones are read behind every page's back.
    return len([each for each in statements if "from messages" in each or "search_" in each]), asked() - before


async def test_pages_cost_the_same_whatever_the_rows(here: World, statements: list[str]) -> None:
    stores, account = Stores(here.pool), here.account.account
    await here.caller()
    first = submit_sms("+15550001", text="hello", account=account)
    await stores.messages.submit([first])
    guid = first.recipients[0].id.hex()
    async with visiting(here) as browser:
        paths = (LIST, f"{LIST}/{guid}", "/dashboard/send")
        few = {path: await cost(browser, path, statements) for path in paths}
        assert few == {LIST: (1, 1), f"{LIST}/{guid}": (1, 1), "/dashboard/send": (0, 1)}
        await stores.messages.submit(
            [submit_sms(*(f"+1555{n:07}" for n in range(1000)), text="hello", account=account)]
        )
        assert {path: await cost(browser, path, statements) for path in paths} == few
        for query in ("state=delivered", "q=nowhere", "q=%2B15559999999", "q=9999", f"phone={'p' * 21}"):
            found, questions = await cost(browser, f"{LIST}?{query}", statements)
            assert found <= 3, query
            assert questions == 1, query
