"""What people see while a part is away: the page with what can be known, or one that says what to do; never a wait."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from services.gateway.dashboard.frame.languages import load
from tests.support.auths import give_back, take_away
from tests.support.browser import Browser, Page
from tests.support.markup import Markup
from tests.support.plenty import NUMBER, Things, add
from tests.support.relay import Relay
from tests.support.scale import scaled
from tests.support.servers import Servers
from tests.support.visiting import visiting
from tests.support.waiting import until
from tests.support.whole import HOME, Whole, templates, whole

LONGEST_S = 10.0
WORDS = load()["fr"]

SEND, REPLY = f"{HOME}/send", f"{HOME}/inbox/reply"
TEXT = "a long text that nobody wants to type again"
THREAD = f"{HOME}/inbox/thread?with=%2B{NUMBER.removeprefix('+')}"
KEY = "0123456789abcdef" * 2

OF_DISPATCHER = {"/phones", "/phones/{device}", "/webhooks/new", "/webhooks/{id}/edit"}
OF_WEBHOOKS = {
    "/webhooks",
    "/webhooks/{id}",
    "/webhooks/{id}/edit",
    "/webhooks/{id}/deliveries",
    "/webhooks/{id}/deliveries/{delivery}",
    "/webhooks/{id}/replays",
}
OF_AUTH = {
    "/phones/enrol/{key_id}",
    "/keys",
    "/keys/{id}",
    "/keys/clients",
    "/keys/clients/{id}",
    "/keys/enrolment",
    "/people",
    "/people/{id}",
    "/profile",
    "/audit",
    "/settings",
}
OF_LOG = {"/messages", "/messages/{guid}", "/messages/export.csv", "/inbox", "/inbox/thread"}

GONE: dict[str, set[str]] = {
    "dispatcher": OF_DISPATCHER,
    "webhooks": OF_WEBHOOKS,
    "auth": OF_AUTH,
    "nats": OF_DISPATCHER | OF_WEBHOOKS | OF_AUTH,
    "postgres": OF_DISPATCHER | OF_WEBHOOKS | OF_AUTH | OF_LOG,
}
"""Which pages cannot be shown without which part; all others can."""

MISSED: dict[str, tuple[str, ...]] = {
    "dispatcher": ("phones", "attention"),
    "webhooks": ("webhooks",),
    "auth": (),
    "nats": ("phones", "attention", "webhooks"),
    "postgres": ("messages", "phones", "attention", "webhooks"),
}
"""What the overview says that it lacks."""

HANGING = scaled(small=0, one=0, full=1) * ["dispatcher", "webhooks", "auth"]
"""Services that take questions and do not answer: each costs as long as pages may wait."""


class Visit(NamedTuple):
    """An installation that a person of its account looks at in French, and the gateway's way to NATS."""

    here: Whole
    things: Things
    browser: Browser
    csrf: str
    line: Relay
    admin_url: str

    @contextlib.asynccontextmanager
    async def without(self, *parts: str, hangs: bool = False) -> AsyncIterator[None]:
        """These are away for the context's time; everything works again after it."""
        database = self.here.settings.database_url
        async with contextlib.AsyncExitStack() as stack:
            for part in parts:
                if part == "nats":
                    await self.line.cut()
                    stack.push_async_callback(self.line.mend)
                elif part == "postgres":
                    await take_away(self.admin_url, database)
                    stack.push_async_callback(give_back, self.admin_url, database)
                else:
                    await stack.enter_async_context(self.here.without(part, hangs=hangs))
            yield
        await until(self._is_well, "every part is back")

    async def pages(self) -> dict[str, tuple[Page, float]]:
        """Each page, visited all at once, and the seconds that it took."""
        paths = {
            template.removeprefix(HOME): THREAD if template == f"{HOME}/inbox/thread" else self.things.path(template)
            for template, _ in templates(self.here.app, "GET")
            if template != f"{HOME}/live"
        }
        return dict(zip(paths, await asyncio.gather(*map(self._timed, paths.values())), strict=True))

    async def submit(self, path: str, **fields: str) -> tuple[Page, float]:
        """Sends a form that was opened before; the answer, and the seconds that it took."""
        began, told = time.monotonic(), {"csrf": self.csrf, "text": TEXT, "key": KEY} | fields
        return await self.browser.post(path, told), time.monotonic() - began

    async def _timed(self, path: str) -> tuple[Page, float]:
        began = time.monotonic()
        return await self.browser.get(path), time.monotonic() - began

    async def _is_well(self) -> bool:
        one_of_each = (f"{HOME}{path}" for path in ("/phones", "/webhooks", "/keys", "/messages"))
        return all([(await self.browser.get(path)).status == 200 for path in one_of_each])


@pytest.fixture(scope="module")
async def visit(servers: Servers) -> AsyncIterator[Visit]:
    async with Relay.to(servers.nats_url) as line, whole(servers, nats_url=line.url) as here:
        things = await add(here, 2)
        async with visiting(here, language="fr") as browser:
            csrf = (await browser.get(SEND)).csrf
            yield Visit(here, things, browser, csrf, line, servers.database_url)


def assert_says_what_to_do(page: Page) -> None:
    """A page of the dashboard's own that says that it will pass, and leads on."""
    assert page.headers["retry-after"].isdecimal()
    assert '<html lang="fr">' in page.text
    shown = Markup(page.text)
    assert WORDS("errors.unavailable.title") in shown.text
    assert WORDS("errors.unavailable.text") in shown.text
    assert "/dashboard" in shown.values("a", "href")


@pytest.mark.parametrize(("part", "hangs"), [*((part, False) for part in GONE), *((part, True) for part in HANGING)])
async def test_what_can_be_known_is_shown(visit: Visit, part: str, hangs: bool) -> None:
    async with visit.without(part, hangs=hangs):
        pages = await visit.pages()
    for name, (page, took) in pages.items():
        assert page.status in (200, 303, 503), name
        assert took < LONGEST_S, name
        if page.status == 503:
            assert_says_what_to_do(page)
    assert {name for name, (page, _) in pages.items() if page.status == 503} == GONE[part]
    if MISSED[part]:
        missed = ", ".join(WORDS(f"overview.part.{name}") for name in MISSED[part])
        assert WORDS("overview.away", parts=missed) in Markup(pages[""][0].text).text


async def test_a_text_is_accepted_while_postgres_and_the_dispatcher_are_away(visit: Visit) -> None:
    wanted = {"to": "+15550002222", "step": "send"}
    async with visit.without("dispatcher", "postgres"):
        checked, _ = await visit.submit(SEND, **wanted | {"step": "check"})
        sent, took = await visit.submit(SEND, **wanted)
        again, _ = await visit.submit(SEND, **wanted)
        replied, _ = await visit.submit(REPLY, **{"with": NUMBER, "key": KEY[::-1]})
    assert (checked.status, sent.status, replied.status) == (200, 303, 303)
    assert took < LONGEST_S
    assert again.location == sent.location, "pressed twice, sent once"
    await visit.here.becomes(sent.location.partition("?")[0].rpartition("/")[2], "queued")
    counting = "select count(*) from messages where text = $1"

    async def stored() -> bool:
        return bool(await visit.here.pool.fetchval(counting, TEXT) == 2)

    await until(stored, "both are stored")


async def test_what_was_typed_is_kept_where_it_cannot_be_taken(visit: Visit) -> None:
    async with visit.without("nats", "postgres"):
        answers = await asyncio.gather(
            visit.submit(SEND, to="+15550003333", step="send"), visit.submit(REPLY, **{"with": NUMBER})
        )
    for page, took in answers:
        assert page.status == 503
        assert took < LONGEST_S
        assert WORDS("send.error.unavailable") in Markup(page.text).text
        assert TEXT in page.text
        assert f'name="key" value="{KEY}"' in page.text, "pressed again it is the same text"
