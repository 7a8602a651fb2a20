"""Every route with hostile parameters and fields: never an error of ours, never somebody's script, always a page."""

import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from tests.support.browser import Browser, Page
from tests.support.fleet import assert_harmless
from tests.support.odd_input import Odd, forms_of, odd_requests, read_by
from tests.support.plenty import NUMBER, Things, add
from tests.support.scale import scaled
from tests.support.servers import Servers
from tests.support.visiting import PASSWORD, visiting
from tests.support.whole import HOME, Whole, templates, whole

OF_EACH = scaled(small=2, one=3, full=10_000)
"""So many requests of each route are tried, the same ones in each run."""

ENDLESS = f"{HOME}/live"
NO_PAGES = frozenset((f"{HOME}/send/shape", f"{HOME}/messages/export.csv", f"{HOME}/static/{{name}}"))
"""They answer with something else, unless they refuse."""

ONCE_WRONG = (
    ("/inbox", {"at": "0001-01-01T00:00%2B23:59", "number": "a"}),
    ("/inbox", {"at": "2026-01-01T00:00%2B00:00", "number": "%00"}),
    ("/inbox/thread", {"with": "%00"}),
    ("/messages", {"phone": "%E2%80%AE"}),
    ("/audit", {"who": "%E2%80%AE"}),
)
"""What was an error of ours, or turned its surroundings around."""

_TYPED = re.compile("<textarea.*?</textarea>|<pre.*?</pre>", re.DOTALL)
"""Holds what was typed as it was typed: a field, and what is there to be copied."""


@pytest.fixture
async def here(servers: Servers) -> AsyncIterator[Whole]:
    async with whole(servers) as running:
        yield running


async def odd_ones(here: Whole, browser: Browser, things: Things) -> list[tuple[str, Odd]]:
    """Requests of each route with its template, those last that end what others are about."""
    routes = [
        (method, each) for method in ("GET", "POST") for each, _ in templates(here.app, method) if each != ENDLESS
    ]
    names = read_by(here.app)
    forms: dict[tuple[str, str], dict[str, str]] = {}
    for method, template in routes:
        if method == "GET":
            query = f"?with={NUMBER.replace('+', '%2B')}" if template.endswith("/thread") else ""
            forms |= forms_of(await browser.get(things.path(template) + query))
    assert ("POST", things.path(f"{HOME}/webhooks/{{id}}/edit")) in forms, "forms are found"
    found = []
    for method, template in routes:
        path = things.path(template)
        every = list(odd_requests(method, template, path, forms.get((method, path), {}), names[method, template]))
        chosen = random.Random(template).sample(every, min(OF_EACH, len(every)))
        found += [(template, each) for each in chosen]
    found += [(page, Odd("GET", HOME + page, [*query.items()], ends=False)) for page, query in ONCE_WRONG]
    return sorted(found, key=lambda one: one[1].ends)


def assert_well(template: str, page: Page, logs: Sequence[Mapping[str, object]]) -> None:
    """The answer says what it says in the visitor's language, and is nobody else's."""
    assert page.status < 500
    assert [each for each in logs if each["log_level"] in ("error", "critical")] == []
    assert "Traceback" not in page.text
    if page.status == 303 or (page.status == 200 and template in NO_PAGES):
        return
    assert '<html lang="fr"' in page.text
    elements = assert_harmless(_TYPED.sub("", page.text))
    links = [link for tag, name in (("a", "href"), ("form", "action")) for link in elements.values(tag, name)]
    assert [link for link in links if not link.startswith(("/", "#"))] == []


@pytest.mark.timeout(3600)
async def test_no_input_is_an_error_of_ours(here: Whole) -> None:
    things = await add(here, 2)
    troubles: list[tuple[str, ...]] = []
    async with visiting(here, language="fr") as browser:
        tries = await odd_ones(here, browser, things)
        csrf = (await browser.get(HOME)).csrf
        for template, odd in tries:
            with capture_logs() as logs:
                if odd.method == "GET":
                    page = await browser.get(odd.path)
                else:
                    page = await browser.post(odd.path, f"csrf={csrf}&{odd.body}".encode())
            try:
                assert_well(template, page, logs)
            except AssertionError as problem:
                troubles.append((template, str(problem)[:1000], odd.path[:300], odd.body[:300]))
            if page.status == 303 and page.location.startswith(f"{HOME}/sign-in"):
                login = f"owner.fr.{here.account.account}@example.org"
                assert (await browser.sign_in(login, PASSWORD)).status == 303
                csrf = (await browser.get(HOME)).csrf
    assert troubles == []
