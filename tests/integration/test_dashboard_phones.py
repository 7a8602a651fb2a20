"""The pages of phones: one is brought in and tried out, changed and removed; by whom they may be, and no one else."""

import re
from collections.abc import AsyncIterator

import pytest

from shared.contracts import registry
from tests.support.browser import Page
from tests.support.fleet import HOSTILE, assert_harmless, questions, signed_in
from tests.support.servers import Servers
from tests.support.smsgate_world import World, device_of, world
from tests.support.visiting import set_account, visiting
from tests.support.waiting import until

PHONES = "/dashboard/phones"


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers, ca_url="http://ca.example/") as running:
        yield running


@pytest.fixture
async def home(installation: World) -> World:
    await installation.begin()
    return installation


async def test_a_phone_is_brought_in_by_what_the_page_shows(home: World) -> None:
    async with signed_in(home) as browser:
        assert "five minutes" in (await browser.get(PHONES)).text
        page = await browser.submit(await browser.get(f"{PHONES}/enrol"), f"{PHONES}/enrol")
        elements = assert_harmless(page.text)
        assert page.headers["cache-control"] == "no-store"
        assert elements.values("svg", "aria-label") == ["Address of the root certificate", "API URL", "Private token"]
        key = re.search('class="secret">([0-9a-f]{64})<', page.text)
        assert key is not None
        assert {f"{home.url}/mobile/v1", "http://ca.example/", key[1]} <= set(elements.values("button", "data-copy"))
        assert f"--url ws{home.url.removeprefix('http')}/phone/v1/socket --enrolment-key {key[1]}" in elements.text
        assert "only this machine" in elements.text
        (watched,) = elements.values("section", "data-live-from")
        waiting = await browser.get(watched)
        assert "Waiting for the phone" in waiting.text
        assert key[1] not in waiting.text

        phone = await home.handset(private_token=key[1])
        async with home.connected(phone, unlimited=False):

            async def there() -> str | None:
                found = await browser.get(watched)
                return found.text if "The phone is connected" in found.text else None

            text = str(await until(there, "the page says that the phone is there"))
            assert_harmless(text)
            assert f"{PHONES}/{device_of(phone)}/test" in text
            listed = assert_harmless((await browser.get(PHONES)).text)
            assert "1 of 1 online" in listed.text
            assert "0 of 10 parts per minute" in listed.text
            # What the form says is sent once, however often it comes.
            shown = await browser.get(f"{PHONES}/{device_of(phone)}")
            form = re.search('name="key" value="([0-9a-f]{32})"', shown.text)
            assert form is not None
            fields = {"number": "+15551230001", "text": "it works", "sim": "2", "key": form[1]}
            path = f"{PHONES}/{device_of(phone)}/test"
            first, again = [await browser.submit(shown, path, **fields) for _ in range(2)]
            assert (first.status, first.location) == (303, again.location)
            guid = re.fullmatch("/dashboard/messages/([0-9a-f]{40})[?]notice=phones.notice.test", first.location)
            assert guid is not None
            await home.becomes(guid[1], "delivered")
            assert len(phone.sent()) == 1
            for number, text in (("", "x"), ("nonsense!", "x"), ("+15551230001", "")):
                refused = await browser.submit(shown, path, number=number, text=text)
                assert refused.status == 400
                if text:
                    assert 'id="number-hint" class="error"' in refused.text


async def test_a_test_text_over_the_days_limit_comes_back_and_is_sent_once_later(home: World) -> None:
    phone = await home.caller()
    path = f"{PHONES}/{phone.device}"
    typed = {"number": "+15551230001", "text": "once"}

    def form_key(page: Page) -> str:
        (found,) = re.findall('name="key" value="([0-9a-f]{32})"', page.text)
        return str(found)

    async with visiting(home, "owner") as browser:
        await set_account(home, daily_sends=1)
        shown = await browser.get(path)
        first = await browser.submit(shown, f"{path}/test", **typed, key=form_key(shown))
        assert first.status == 303
        shown = await browser.get(path)
        refused = await browser.submit(shown, f"{path}/test", **typed, key=form_key(shown))
        assert refused.status == 429
        assert "limit of messages for today" in assert_harmless(refused.text).text
        assert form_key(refused) == form_key(shown)
        await set_account(home, daily_sends=2)
        sent = [await browser.submit(refused, f"{path}/test", **typed, key=form_key(refused)) for _ in range(2)]
        assert [page.status for page in sent] == [303, 303]
        assert sent[0].location == sent[1].location != first.location


async def test_a_phone_is_changed_limited_and_removed(home: World) -> None:
    phone = await home.caller()
    path = f"{PHONES}/{phone.device}"
    async with signed_in(home) as browser:
        page = await browser.get(path)

        async def done(change: str, notice: str, **fields: str) -> str:
            answer = await browser.submit(page, f"{path}/{change}", **fields)
            assert (answer.status, answer.location) == (303, f"{path}?notice=phones.notice.{notice}")
            shown = await browser.get(answer.location)
            assert_harmless(shown.text)
            return shown.text

        assert "The phone was renamed." in await done("rename", "renamed", name="Front desk")
        assert "<h1><bdi" in (text := await done("pause", "paused"))
        assert f"{path}/resume" in text
        assert f"{path}/pause" in await done("resume", "resumed")
        await done("approve", "approved")
        limits = {"per_minute_1": "12", "per_hour_1": "", "per_day_1": "300", "delay_from_1": "2", "delay_to_1": "4,5"}
        text = await done("budget", "budget", slot="1", **limits)
        used = set(re.findall("0 of [0-9]+ parts per [a-z]+", text))
        assert {"0 of 12 parts per minute", "0 of 300 parts per day"} <= used
        (changed,) = (each for each in (await home.devices()).budgets if each.slot == 1)
        assert (changed.per_minute, changed.per_hour, changed.per_day) == (12, None, 300)
        assert changed.delay_ms == (2000, 4500)

        for change, fields, typed in (
            ("rename", {"name": "n" * 65}, "n" * 65),
            ("budget", {"slot": "1", **limits, "per_day_1": "many"}, "many"),
            ("budget", {"slot": "1", **limits, "delay_to_1": "soon"}, "soon"),
            ("budget", {"slot": "1", **limits, "per_day_1": "1000001"}, "1000001"),
            ("budget", {"slot": "1", **limits, "delay_from_1": "9"}, "9"),
        ):
            refused = await browser.submit(page, f"{path}/{change}", **fields)
            assert refused.status == 400, (change, fields)
            elements = assert_harmless(refused.text)
            assert typed in elements.values("input", "value")
            marks = elements.values("div", "class") + elements.values("p", "class")
            assert {"field wrong", "alert bad"} & set(marks)
        assert (await browser.submit(page, f"{path}/budget", slot="7", per_day_7="1")).status == 404
        assert (await browser.submit(page, f"{path}/budget", slot="x")).status == 404
        assert (await browser.submit(page, f"{path}/nonsense")).status == 404

        gone = await browser.submit(page, f"{path}/remove")
        assert (gone.status, gone.location) == (303, f"{PHONES}?notice=phones.notice.removed")
        assert [(await browser.get(path)).status, (await browser.submit(page, f"{path}/pause")).status] == [404, 404]
        assert (await home.devices()).devices == []


async def test_only_those_who_may_and_of_this_account(home: World) -> None:
    phone = await home.caller()
    changes = ("rename", "pause", "approve", "budget", "test", "remove")
    async with signed_in(home, "viewer") as viewer:
        for path in (PHONES, f"{PHONES}/{phone.device}"):
            elements = assert_harmless((await viewer.get(path)).text)
            assert elements.values("form", "action") == ["/dashboard/sign-out"]
            assert f"{PHONES}/enrol" not in elements.values("a", "href")
        page = await viewer.get(PHONES)
        for change in changes:
            assert (await viewer.submit(page, f"{PHONES}/{phone.device}/{change}", slot="1")).status == 403, change
        assert [
            (await viewer.get(f"{PHONES}/enrol")).status,
            (await viewer.submit(page, f"{PHONES}/enrol")).status,
        ] == [
            403,
            403,
        ]
    async with signed_in(home) as member:
        key = (await member.submit(await member.get(f"{PHONES}/enrol"), f"{PHONES}/enrol")).text
    watched = re.search(f"{PHONES}/enrol/[A-Za-z0-9_]+", key)
    assert watched is not None
    await home.begin()
    async with signed_in(home, "owner") as stranger:
        assert (await stranger.get(watched[0])).status == 404
        for device in (phone.device, "d" * 21, "short"):
            assert (await stranger.get(f"{PHONES}/{device}")).status == 404
            page = await stranger.get(PHONES)
            for change in changes:
                fields = {"slot": "1", "per_day_1": "1", "name": "mine", "number": "+15551230001", "text": "x"}
                assert (await stranger.submit(page, f"{PHONES}/{device}/{change}", **fields)).status == 404, change


async def test_what_a_phone_says_is_harmless_and_what_is_wrong_is_told(home: World) -> None:
    phone = await home.caller()
    await home.pool.execute(
        "update devices set name = $2, given_name = null, software = $2 where id = $1", phone.device, HOSTILE
    )
    await home.pool.execute("update sims set number = $2, carrier = $2 where device_id = $1", phone.device, HOSTILE)
    await home.pool.execute("update devices set approved = false where id = $1", phone.device)
    await home.pool.execute(
        """
        insert into apps (device_id, clock_off_s, hooked_at, battery) values ($1, 90, now(), 12)
        on conflict (device_id) do update set clock_off_s = 90, hooked_at = now(), battery = 12
        """,
        phone.device,
    )
    wanted = {registry.DISPATCHER_DEVICE_LIST.subject: 1.0, registry.DISPATCHER_ATTENTION.subject: 1.0}
    for language, clock, approve in (
        ("en", "Its clock is wrong", "Approve"),
        ("fr", "horloge est fausse", "Approuver"),
    ):
        async with signed_in(home, language=language) as browser:
            for path in (PHONES, f"{PHONES}/{phone.device}"):
                page = await browser.get(path)
                elements = assert_harmless(page.text)
                assert f'lang="{language}"' in page.text
                assert '<b id="x">bold</b>' in elements.text
                assert clock in elements.text
                assert approve in elements.text
                assert "12\u00a0%" in elements.text
                assert await questions(browser, path) == wanted
            if language == "en":
                for _ in range(3):
                    await home.caller()
    async with signed_in(home, "owner") as browser:
        assert await questions(browser, PHONES) == wanted
