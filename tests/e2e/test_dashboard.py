"""The overview and the conversations, as a person's browser gets them from a running system."""

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.support.browser import Browser
from tests.support.markup import Markup
from tests.support.people import signed_in
from tests.support.system import System
from tests.support.waiting import until

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "\u202eevil\u202c \u2066hidden\u2069",
    "{{ 7 * 7 }}{% raw %}",
    "👩\u200d👩\u200d👧 😀" * 20,
    "long " * 2000,
]


@pytest.fixture(scope="module")
async def ana(system: System) -> AsyncIterator[Browser]:
    """An owner of the first account."""
    async with signed_in(system) as browser:
        yield browser


async def _receive(system: System, number: str, text: str) -> None:
    await system.cli("phone", "receive", "--from", number, text)


def _thread(number: str) -> str:
    return f"/dashboard/inbox/thread?with={quote(number, safe='')}"


async def _shown(browser: Browser, path: str, text: str) -> str:
    """The page, as soon as it shows this text."""

    async def there() -> str | None:
        page = await browser.get(path)
        return page.text if page.status == 200 and text in Markup(page.text).text else None

    return await until(there, f"{path} shows {text[:40]}")


async def test_the_overview_tells_what_happens_now(system: System, ana: Browser) -> None:
    await system.succeeded(await system.send("for the overview"))
    page = Markup(await _shown(ana, "/dashboard", "phones online"))
    page.assert_harmless()

    async def counted() -> bool:
        text = " ".join(Markup((await ana.get("/dashboard")).text).text.split())
        found = re.search(r"([\d,]+) ?sent ?([\d,]+) since ", text)
        day, hour = (int(each.replace(",", "")) for each in found.groups()) if found else (0, 0)
        return day > 0 and day >= hour

    await until(counted, "the day counts what was sent")


async def test_a_text_arrives_in_its_thread_and_is_answered(system: System, ana: Browser) -> None:
    number = "+15557770001"
    await _receive(system, number, "are you there?")
    await _shown(ana, "/dashboard/inbox", "are you there?")
    assert "1 new" in Markup((await ana.get("/dashboard/inbox")).text).text
    page = await ana.get(_thread(number))
    assert "are you there?" in page.text
    found = re.search(r'name="key" value="([0-9a-f]{32})"', page.text)
    assert found
    key = found[1]
    for _ in range(2):
        answer = await ana.submit(page, "/dashboard/inbox/reply", **{"with": number}, text="yes, I am", key=key)
        assert answer.status == 303, answer
    await _shown(ana, _thread(number), "yes, I am")

    async def radioed() -> bool:
        return len(system.radio(text="yes, I am")) == 1

    await until(radioed, "the answer goes out")
    await system.at_rest()
    assert len(system.radio(text="yes, I am")) == 1, "pressed twice, sent once"


async def test_who_looks_takes_nothing_away_from_a_program(system: System, ana: Browser) -> None:
    number, text = "+15557770002", "for the program, too"
    await _receive(system, number, text)
    await _shown(ana, _thread(number), text)

    async def seen() -> bool:
        row = re.search(rf'data-row="{re.escape(number)}"( class="unread")?', (await ana.get("/dashboard/inbox")).text)
        return row is not None and row[1] is None

    await until(seen, "the thread counts as seen")
    assert text in [row["message"] for row in await system.inbox(onlyunread="yes")]


async def test_a_name_cannot_be_answered(system: System, ana: Browser) -> None:
    await _receive(system, "Parcel Shop", "your parcel is here")
    page = await _shown(ana, _thread("Parcel Shop"), "your parcel is here")
    assert "cannot be answered" in page
    token = (await ana.get("/dashboard/send")).csrf
    fields = {"csrf": token, "with": "Parcel Shop", "text": "thanks", "key": "0" * 32}
    assert (await ana.post("/dashboard/inbox/reply", fields)).status == 400


@pytest.mark.parametrize("text", HOSTILE, ids=["markup", "directions", "templates", "emoji", "length"])
async def test_hostile_texts_are_harmless_in_a_thread(system: System, ana: Browser, text: str) -> None:
    number = f"+1555777{HOSTILE.index(text):04}9"
    await _receive(system, number, text)
    await _shown(ana, "/dashboard/inbox", number)
    page = await ana.get(_thread(number))
    shown = Markup(page.text)
    shown.assert_harmless()
    assert "\u202e" not in page.text
    assert "\u2066" not in page.text
    if text.isprintable():
        assert text.strip() in shown.text
    Markup((await ana.get("/dashboard/inbox")).text).assert_harmless()


async def test_a_viewer_reads_and_does_nothing(system: System, ana: Browser) -> None:
    number = "+15557770003"
    await _receive(system, number, "for all eyes")
    await _shown(ana, "/dashboard/inbox", "for all eyes")
    async with signed_in(system, "viewer") as viewer:
        page = await viewer.get(_thread(number))
        assert page.status == 200
        assert "/dashboard/inbox/reply" not in page.text
        assert "/dashboard/inbox/delete" not in page.text
        for path in ("/dashboard/inbox/reply", "/dashboard/inbox/delete"):
            assert (await viewer.submit(page, path, **{"with": number})).status == 403
        assert (await viewer.get("/dashboard/send")).status == 403


async def test_another_account_has_other_threads(system: System, ana: Browser) -> None:
    number = "+15557770004"
    await _receive(system, number, "not for strangers")
    await _shown(ana, "/dashboard/inbox", "not for strangers")
    accounts = {each["name"] for each in (await system.cli("account", "list"))["accounts"]}
    if "strangers" not in accounts:
        await system.cli("account", "create", "strangers", "--no-phone")
    async with signed_in(system, account="strangers") as stranger:
        assert (await stranger.get(_thread(number))).status == 404
        assert "not for strangers" not in (await stranger.get("/dashboard/inbox")).text
        await _shown(stranger, "/dashboard", "No phone yet")


async def test_an_open_page_is_told_when_a_text_arrives(system: System, ana: Browser) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    jar.update_cookies(ana.cookies, URL(system.base_url))
    async with (
        aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.get(f"{system.base_url}/dashboard/live") as stream,
    ):
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert await stream.content.readline() == b"retry: 3000\n"
        await _receive(system, "+15557770005", "live")
        kinds: set[str] = set()
        async with asyncio.timeout(10):
            while "inbox" not in kinds:
                line = (await stream.content.readline()).decode()
                if line.startswith("data: "):
                    kinds |= set(line.removeprefix("data: ").split())


async def test_a_page_in_french_says_so(ana: Browser) -> None:
    page = await ana.get("/dashboard/inbox", Accept_Language="fr-FR,fr;q=0.9")
    assert '<html lang="fr">' in page.text
    assert "Boîte de réception" in page.text
    chosen = await ana.get("/dashboard/language/en?next=/dashboard/inbox", Accept_Language="fr")
    assert (chosen.status, chosen.location) == (303, "/dashboard/inbox")
    assert '<html lang="en">' in (await ana.get("/dashboard/inbox", Accept_Language="fr")).text


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_each_page_has_a_title_of_its_own(system: System, language: str) -> None:
    names = (
        "", "/send", "/messages", "/inbox", "/phones", "/phones/enrol", "/webhooks", "/webhooks/new", "/keys",
        "/keys/new", "/keys/clients", "/keys/clients/new", "/keys/enrolment", "/people", "/people/new", "/profile",
        "/audit", "/settings",
    )  # fmt: skip
    async with signed_in(system) as browser:
        pages = {name: (await browser.get(f"/dashboard{name}", Accept_Language=language)).text for name in names}
    titles = {name: page.partition("<title>")[2].partition("</title>")[0] for name, page in pages.items()}
    assert len(set(titles.values())) == len(names), titles
