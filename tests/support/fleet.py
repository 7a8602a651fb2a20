"""People at the dashboard of an installation with phones of the app, and what a browser makes of a page."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from html.parser import HTMLParser
from typing import Final

from shared.bus.rpc import ASKED
from shared.contracts import registry
from shared.contracts.rpc.people import CreateUser, Role
from tests.support.browser import Browser, browsing
from tests.support.smsgate_world import World

PASSWORD: Final = "velvet otter 42"
HOSTILE: Final = '<b id="x">bold</b><script src="//evil"></script>\u202e'
"""Text of a stranger that would be elements, and turn the words around it."""

_BY_THEMSELVES: Final = frozenset(
    each.subject
    for each in (
        registry.AUTH_VERIFY,
        registry.AUTH_TRUST,
        registry.DISPATCHER_RENEW,
        registry.DISPATCHER_APP_SIGNS,
        registry.DISPATCHER_APP_PULL,
    )
)
"""Questions that are asked without a page."""


@contextlib.asynccontextmanager
async def signed_in(world: World, role: Role = "member", language: str = "en") -> AsyncIterator[Browser]:
    """A browser of a new user of the world's account."""
    account = world.account.account
    login = f"{role}-{language}@{account}.example.org"
    asked = CreateUser(account=account, login=login, role=role, password=PASSWORD)
    await world.ask.ask(registry.AUTH_USER_CREATE, asked, 20)
    async with browsing(world.url) as browser:
        browser.headers["Accept-Language"] = language
        assert (await browser.sign_in(login, PASSWORD)).status == 303
        yield browser


class Elements(HTMLParser):
    """What a page is made of: elements with their attributes, ids, and the text that is shown."""

    def __init__(self, page: str) -> None:
        """Reads the page."""
        super().__init__()
        self.found: list[tuple[str, Mapping[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Called by the parser."""
        self.text += data

    def values(self, tag: str, attribute: str) -> list[str]:
        """The values of an attribute of all such elements."""
        return [value for name, attributes in self.found if name == tag and (value := attributes.get(attribute))]


def assert_harmless(page: str) -> Elements:
    """No element and no style of a stranger's, nothing inline, each id once; what the page is made of."""
    elements = Elements(page)
    ids = [attributes["id"] or "" for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids)), sorted(each for each in ids if ids.count(each) > 1)
    assert "x" not in ids
    assert "b" not in {tag for tag, _ in elements.found}
    assert all(source.startswith("/dashboard/static/") for source in elements.values("script", "src"))
    names = {name for _, attributes in elements.found for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    # A field holds what was typed, as it was typed.
    assert "\u202e" not in elements.text
    return elements


def asked() -> dict[str, float]:
    """How often each question was asked so far for a page, by this process."""
    counts: dict[str, float] = {}
    for family in ASKED.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and (subject := sample.labels["rpc"]) not in _BY_THEMSELVES:
                counts[subject] = counts.get(subject, 0) + sample.value
    return counts


async def questions(browser: Browser, path: str) -> dict[str, float]:
    """Which questions this page asks, and how often."""
    before = asked()
    assert (await browser.get(path)).status == 200
    more = {subject: count - before.get(subject, 0) for subject, count in asked().items()}
    return {subject: count for subject, count in more.items() if count}
