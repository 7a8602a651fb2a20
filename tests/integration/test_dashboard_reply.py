"""The answer in a conversation: it goes out once, and what is refused is told in the visitor's words."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from services.gateway.dashboard.frame.languages import load
from tests.support.browser import Browser, Page
from tests.support.markup import Markup
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.visiting import set_account, visiting
from tests.support.waiting import until

REPLY, THREAD = "/dashboard/inbox/reply", "/dashboard/inbox/thread?with="
NUMBER = "+33612345678"
WORDS = load()


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    await installation.caller()
    await installation.ready(await installation.send("hello", NUMBER))
    return installation


def key_of(page: Page) -> str:
    (found,) = re.findall(r'name="key" value="([0-9a-f]{32})"', page.text)
    return str(found)


async def talk(browser: Browser) -> Page:
    """The conversation, as soon as it can be found."""
    found: list[Page] = []

    async def there() -> bool:
        found.append(await browser.get(THREAD + quote(NUMBER)))
        return found[-1].status == 200

    await until(there, "there is a conversation")
    return found[-1]


async def reply(browser: Browser, page: Page, text: str, to: str = NUMBER) -> Page:
    return await browser.submit(page, REPLY, **{"with": to}, text=text, key=key_of(page))


@pytest.mark.parametrize("language", WORDS)
async def test_what_is_refused_is_told_in_words_beside_what_was_typed(here: World, language: str) -> None:
    t = WORDS[language]
    await set_account(here, max_parts=1)
    async with visiting(here, "member", language) as browser:
        page = await talk(browser)
        for text, to, status, sentence in (
            ("x" * 161, NUMBER, 400, t("send.error.too_many_parts", most=1)),
            ("", NUMBER, 400, t("send.error.missing_message")),
            ("hi", "Bank", 400, t("inbox.no_answer")),
        ):
            answer = await reply(browser, page, text, to)
            assert answer.status == status, text
            (alert,) = re.findall(r'role="alert"><p>(.*?)</p>', answer.text)
            assert sentence in Markup(alert).text
        refused = await reply(browser, page, "\nsecond line" + "x" * 161)
        assert "<textarea" in refused.text
        assert f">\n\nsecond line{'x' * 161}</textarea>" in refused.text
        # The page's address takes forms only: what is read again, and in another language, is the conversation.
        thread = THREAD + quote(NUMBER, safe="")
        assert f'data-live-from="{thread}"' in refused.text
        assert f"next={quote(thread)}" in refused.text


async def test_an_answer_is_sent_once_and_another_one_needs_another_press(here: World) -> None:
    async with visiting(here, "member") as browser:
        page = await talk(browser)
        first, again = [await reply(browser, page, "one") for _ in range(2)]
        assert first.location == again.location
        changed = await reply(browser, page, "two")
        assert (changed.status, key_of(changed) == key_of(page)) == (409, False)
        assert (await reply(browser, changed, "two")).status == 303

        async def sent() -> list[str]:
            found = await here.pool.fetch(
                "select text from messages where account_id = $1 order by id", here.account.account
            )
            return [row["text"] for row in found]

        async def all_there() -> bool:
            return len(await sent()) >= 3

        await until(all_there, "both are stored")
        assert await sent() == ["hello", "one", "two"]


async def test_an_answer_that_cannot_be_taken_now_keeps_its_key(here: World) -> None:
    await set_account(here, daily_sends=1)
    async with visiting(here, "member") as browser:
        page = await talk(browser)
        refused = await reply(browser, page, "one")
        if refused.status == 303:
            # Nothing was counted for this account today.
            page = await talk(browser)
            refused = await reply(browser, page, "two")
        assert (refused.status, key_of(refused)) == (429, key_of(page))
        assert WORDS["en"]("send.error.rate_limited") in Markup(refused.text).text
