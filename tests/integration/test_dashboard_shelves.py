"""Pages of many keys, clients and enrolment keys: a bound for each page, and a way to all of them."""

import re
from collections.abc import AsyncIterator

import pytest

from services.gateway.dashboard.frame.languages import load
from shared.contracts import registry
from shared.contracts.rpc.auth import CreateKey
from shared.contracts.rpc.clients import CreateClient, CreateEnrolmentKey
from tests.support.browser import Browser, Page
from tests.support.dashboards import Dashboard, dashboard_of
from tests.support.markup import Markup
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.stocks import CLIENTS, ENROLMENT, KEYS, MANY, Stock

PAGE = 50
PLACES = [("/dashboard/keys", KEYS), ("/dashboard/keys/clients", CLIENTS), ("/dashboard/keys/enrolment", ENROLMENT)]

each_place = pytest.mark.parametrize(("place", "stock"), PLACES, ids=["keys", "clients", "enrolment"])


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def dashboard(installation: World) -> Dashboard:
    return await dashboard_of(installation)


def rows(page: Page) -> list[str]:
    return Markup(page.text).values("tr", "data-row")


def older(page: Page) -> list[str]:
    """Where the page goes on: of those that work, then of those that have ended."""
    return [link["href"] for link in Markup(page.text).of("a") if link.get("rel") == "next"]


async def rest(browser: Browser, path: str) -> list[str]:
    """The rows of this page and all that follow it."""
    found: list[str] = []
    paths = [path]
    while paths:
        page = await browser.get(paths.pop())
        assert page.status == 200
        assert len(rows(page)) <= PAGE
        assert 'rel="prev"' in page.text
        found += rows(page)
        paths = older(page)
    return found


async def make_one(dashboard: Dashboard, stock: Stock) -> None:
    ask, account = dashboard.ask.ask, dashboard.account
    if stock is KEYS:
        await ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="new"))
    elif stock is CLIENTS:
        await ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name="new"))
    else:
        await ask(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=account))


@each_place
async def test_a_walk_meets_each_once_while_some_come_and_end(
    installation: World, dashboard: Dashboard, place: str, stock: Stock
) -> None:
    await stock.fill(installation.pool, dashboard.account)
    await stock.fill(installation.pool, dashboard.account, ended=True)
    living = await stock.ids(installation.pool, dashboard.account, ended=False)
    ended = await stock.ids(installation.pool, dashboard.account, ended=True)
    async with dashboard.signed_in() as browser:
        first = await browser.get(place)
        assert rows(first) == living[:PAGE] + ended[:PAGE]
        assert load()["en"]("keys.ended_ones") in first.text
        assert 'rel="prev"' not in first.text
        await make_one(dashboard, stock)
        assert (await browser.submit(first, f"{place}/{living[-1]}/revoke")).status == 303
        further, further_ended = older(first)
        assert await rest(browser, further) == living[PAGE:-1]
        assert await rest(browser, further_ended) == [
            each
            for each in await stock.ids(installation.pool, dashboard.account, ended=True)
            if each not in ended[:PAGE]
        ]


@each_place
async def test_a_place_that_is_not_there_shows_only_the_way_back(
    installation: World, dashboard: Dashboard, place: str, stock: Stock
) -> None:
    other = await dashboard_of(installation)
    await stock.fill(installation.pool, dashboard.account, count=3)
    await stock.fill(installation.pool, other.account, count=3)
    (theirs, *_) = await stock.ids(installation.pool, other.account, ended=False)
    async with dashboard.signed_in() as browser:
        for before in (theirs, "nowhere"):
            for state in ("active", "ended", "x"):
                page = await browser.get(f"{place}?before={before}&state={state}")
                assert (page.status, rows(page), older(page)) == (200, [], [])
                assert [link["href"] for link in Markup(page.text).of("a") if link.get("rel") == "prev"] == [place]
        assert (await browser.get(f"{place}?before=%00")).status == 400
        whole = await browser.get(f"{place}?state=ended")
        assert set(rows(whole)) == set(await stock.ids(installation.pool, dashboard.account, ended=False))
        assert older(whole) == []


async def test_what_is_far_down_is_still_found_by_its_id(installation: World, dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        made = await browser.submit(await browser.get("/dashboard/phones/enrol"), "/dashboard/phones/enrol")
        watched = re.search("/dashboard/phones/enrol/[A-Za-z0-9_]+", made.text)
        assert watched is not None
        for place, stock in PLACES:
            await stock.fill(installation.pool, dashboard.account, count=MANY)
            if stock is not ENROLMENT:
                last = (await stock.ids(installation.pool, dashboard.account, ended=False))[-1]
                assert (await browser.get(f"{place}/{last}")).status == 200
        await installation.pool.execute(
            "update enrolment_keys set created_at = created_at - interval '1 year' where id = $1",
            watched[0].rpartition("/")[2],
        )
        assert (await browser.get(watched[0])).status == 200
