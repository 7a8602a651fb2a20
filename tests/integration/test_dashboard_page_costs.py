"""What every page costs: as many SQL statements, over all services, and questions for hundreds of rows as for two."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from services.gateway.dashboard.store.messages import EXPORTED_AT_ONCE
from tests.support.browser import Browser
from tests.support.fleet import asked
from tests.support.plenty import NUMBER, Things, add
from tests.support.servers import Servers
from tests.support.visiting import visiting
from tests.support.visits import counted
from tests.support.whole import HOME, Whole, templates, whole

FEW, MANY = 2, 200
EXPORT = f"{HOME}/messages/export.csv"
ENDLESS = f"{HOME}/live"
"""The stream of events: it has no end, and reads nothing but hints."""


class Cost(NamedTuple):
    """Statements of all services, and questions of one to another."""

    statements: int
    questions: int


_NOTHING, _KEYS = Cost(0, 0), Cost(3, 3)

MOST: dict[str, Cost] = {
    "": Cost(8, 3),
    "/sign-in": _NOTHING,
    "/link/{token}": _NOTHING,
    "/language/{language}": _NOTHING,
    "/static/{name}": _NOTHING,
    "/send": Cost(3, 1),
    "/messages": Cost(6, 1),
    "/messages/{guid}": Cost(6, 2),
    "/inbox": Cost(1, 0),
    "/inbox/thread": Cost(8, 2),
    "/phones": Cost(4, 2),
    "/phones/{device}": Cost(4, 2),
    "/phones/enrol": _NOTHING,
    "/phones/enrol/{key_id}": Cost(4, 2),
    "/webhooks": Cost(1, 1),
    "/webhooks/new": Cost(3, 1),
    "/webhooks/{id}": Cost(2, 2),
    "/webhooks/{id}/edit": Cost(4, 2),
    "/webhooks/{id}/deliveries": Cost(2, 2),
    "/webhooks/{id}/deliveries/{delivery}": Cost(3, 2),
    "/webhooks/{id}/replays": Cost(2, 2),
    "/keys": _KEYS,
    "/keys/new": _NOTHING,
    "/keys/{id}": _KEYS,
    "/keys/clients": _KEYS,
    "/keys/clients/new": _NOTHING,
    "/keys/clients/{id}": _KEYS,
    "/keys/enrolment": _KEYS,
    "/people": Cost(1, 1),
    "/people/new": _NOTHING,
    "/people/{id}": Cost(1, 1),
    "/profile": Cost(1, 1),
    "/audit": Cost(4, 4),
    "/settings": Cost(1, 3),
}
"""The most that each page may cost, whatever there is."""

QUERIES = {
    "/inbox/thread": f"?with=%2B{NUMBER.removeprefix('+')}",
    "/audit": "?who=operator&verb=key.create",
    "/webhooks/{id}/deliveries": "?state=pending",
}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of visits."""
    return counted(monkeypatch)


@pytest.fixture
async def here(statements: list[str], servers: Servers) -> AsyncIterator[Whole]:
    async with whole(servers) as running:
        yield running


def pages(here: Whole, things: Things) -> Iterator[tuple[str, str]]:
    """Each page that ends, and where it is."""
    for template, _ in templates(here.app, "GET"):
        if template not in (EXPORT, ENDLESS):
            page = template.removeprefix(HOME)
            yield page, things.path(template) + QUERIES.get(page, "")


async def cost(browser: Browser, path: str, statements: list[str]) -> Cost:
    """What one visit costs."""
    statements.clear()
    before = sum(asked().values())
    page = await browser.get(path)
    assert page.status in (200, 303), (path, page.text)
    return Cost(len(statements), int(sum(asked().values()) - before))


async def test_no_page_costs_more_where_there_is_more(here: Whole, statements: list[str]) -> None:
    things = await add(here, FEW)
    async with visiting(here) as browser:
        paths = dict(pages(here, things))
        assert paths.keys() == MOST.keys()
        few = {page: await cost(browser, path, statements) for page, path in paths.items()}
        few_exported = await cost(browser, EXPORT, statements)
        await add(here, MANY, things)
        many = {page: await cost(browser, path, statements) for page, path in paths.items()}
        assert many == few
        above = {page: found for page, found in few.items() if any(map(int.__gt__, found, MOST[page]))}
        assert above == {}
        assert few["/inbox/thread"].statements > few["/inbox"].statements > 0, "statements are counted"
        # A file is as long as what was found: a statement for each of its batches.
        messages = await here.pool.fetchval("select count(*) from messages")
        more = await cost(browser, EXPORT, statements)
        assert more == (few_exported.statements + messages // EXPORTED_AT_ONCE, few_exported.questions)
