"""The pages of webhooks: one is made, tried out, changed, paused and ended; what stands beside a wrong field."""

import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from services.webhooks.app import open_service
from services.webhooks.settings import WebhooksSettings
from shared.contracts import registry
from shared.contracts.rpc.webhooks import Endpoint, ListEndpoints
from tests.integration.conftest import QUICK
from tests.support.browser import Browser, Page
from tests.support.fleet import HOSTILE, assert_harmless, questions, signed_in
from tests.support.hostile import Answer, HostileReceiver
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world

HOOKS = "/dashboard/webhooks"
ASKED = registry.WEBHOOKS_ENDPOINT_LIST.subject


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        told = msgspec.to_builtins(running.settings)
        async with open_service(msgspec.convert(told, WebhooksSettings), QUICK):
            yield running


@pytest.fixture
async def home(installation: World) -> World:
    await installation.begin()
    return installation


async def endpoints(home: World) -> list[Endpoint]:
    asked = ListEndpoints(account=home.account.account)
    return (await home.ask.ask(registry.WEBHOOKS_ENDPOINT_LIST, asked)).endpoints


async def made(home: World, browser: Browser, url: str, **fields: str) -> tuple[str, Page]:
    """A new webhook: its path, and the page that shows its secret."""
    page = await browser.submit(await browser.get(f"{HOOKS}/new"), f"{HOOKS}/new", url=url, format="v2", **fields)
    assert page.status == 200, page.text
    return f"{HOOKS}/{(await endpoints(home))[-1].id}", page


async def test_a_webhook_is_made_tried_changed_and_ended(home: World, receiver: HostileReceiver) -> None:
    async with signed_in(home) as browser:
        assert "No webhook yet" in (await browser.get(HOOKS)).text
        path, page = await made(
            home,
            browser,
            receiver.url,
            description=HOSTILE,
            sims="1, 2",
            numbers="+15551230000\n",
            headers="X-Key: very secret\n",
            auth="basic",
            user="ana",
            password="very secret",
            max_window="5",
            **{"type:sms.received": "on", "type:device.online": "on"},
        )
        assert page.headers["cache-control"] == "no-store"
        secret = re.search('class="secret">(whsec_[^<]+)<', page.text)
        assert secret is not None
        (endpoint,) = await endpoints(home)
        assert (endpoint.filter.types, endpoint.filter.sims) == (["sms.received", "device.online"], [1, 2])
        assert (endpoint.filter.numbers, endpoint.max_window) == (["+15551230000"], 5)
        assert (endpoint.header_names, endpoint.auth) == (["X-Key"], "basic")

        for answer, sentence in ((Answer(status=500), "did not answer with a status"), (Answer(), "Success: ")):
            receiver.default = answer
            tried = await browser.submit(page, f"{path}/test", type="sms.received")
            assert tried.status == 200
            shown = assert_harmless(tried.text).text
            assert sentence in shown
            assert '"type":"sms.received"' in shown
            assert "very secret" not in shown
        assert receiver.requests[-1].headers["x-key"] == "very secret"
        assert (await browser.submit(page, f"{path}/test", type="no.such")).status == 400

        form = await browser.get(f"{path}/edit")
        elements = assert_harmless(form.text)
        assert {"type:sms.received", "type:device.online"} <= set(elements.values("input", "name"))
        assert form.text.count("checked") == 3
        fields = {"url": receiver.url, "description": "Help desk", "sims": "", "auth": "keep", "max_window": "5"}
        changed = await browser.submit(form, f"{path}/edit", **fields, **{"type:sms.failed": "on"})
        assert (changed.status, changed.location) == (303, f"{path}?notice=webhooks.notice.changed")
        (endpoint,) = await endpoints(home)
        assert (endpoint.description, endpoint.filter.types, endpoint.filter.sims) == ("Help desk", ["sms.failed"], [])
        assert (endpoint.header_names, endpoint.auth) == (["X-Key"], "basic")
        await browser.submit(form, f"{path}/edit", **fields | {"auth": "none", "no_headers": "on"})
        (endpoint,) = await endpoints(home)
        assert (endpoint.header_names, endpoint.auth) == ([], None)

        for change, state in (("pause", "paused"), ("enable", "enabled")):
            assert (await browser.submit(page, f"{path}/{change}", reason="moving")).status == 303
            assert (await endpoints(home))[0].state == state
        refused = await browser.submit(page, f"{path}/pause", reason="r" * 257)
        assert (refused.status, "r" * 257 in refused.text) == (400, True)
        rotated = await browser.submit(page, f"{path}/rotate", overlap="3600", secret="")
        new = re.search('class="secret">(whsec_[^<]+)<', rotated.text)
        assert new is not None
        assert new[1] != secret[1]
        assert "signs too, until" in rotated.text
        assert (await browser.submit(page, f"{path}/rotate", overlap="0", secret="short")).status == 400
        for shown_path in (HOOKS, path, f"{path}/edit", f"{path}/deliveries", f"{path}/replays"):
            text = (await browser.get(shown_path)).text
            assert_harmless(text)
            assert not {each for each in (secret[1], new[1], "very secret") if each in text}

        gone = await browser.submit(page, f"{path}/delete")
        assert (gone.status, gone.location) == (303, f"{HOOKS}?notice=webhooks.notice.deleted")
        assert (await browser.get(path)).status == 404


async def test_what_is_wrong_stands_beside_its_field(home: World) -> None:
    right = {"url": "http://127.0.0.1:65001/", "format": "v2", "description": "mine"}
    async with signed_in(home) as browser, signed_in(home, language="fr") as other:
        form, autre = await browser.get(f"{HOOKS}/new"), await other.get(f"{HOOKS}/new")
        for field, fields in (
            ("url", {"url": "http://10.0.0.1/"}),
            ("url", {"url": "nonsense"}),
            ("description", {"description": "d" * 257}),
            ("sims", {"sims": "one"}),
            ("headers", {"headers": "no colon"}),
            ("headers", {"headers": "Host: evil"}),
            ("headers", {"headers": "A: 1\nA: 2"}),
            ("time_zone", {"format": "classic", "time_zone": "Nowhere/At_All"}),
            ("secret", {"secret": "short"}),
            ("max_window", {"max_window": "33"}),
            ("max_window", {"max_window": "x"}),
        ):
            refused = await browser.submit(form, f"{HOOKS}/new", **right | fields)
            assert refused.status == 400, fields
            assert_harmless(refused.text)
            assert re.search(f'id="{field}-hint" class="error">[A-Z]', refused.text), fields
            assert (right | fields)["description"] in refused.text
            assert (field == "secret") or all(value.split("\n")[0] in refused.text for value in fields.values())
            french = await other.submit(autre, f"{HOOKS}/new", **right | fields)
            assert french.status == 400
            assert re.search(f'id="{field}-hint" class="error">[^<]*[éèàç’]', french.text), fields
        for fields in ({"auth": "basic", "user": "a:b", "password": "p"}, {"type:no.such": "on"}):
            refused = await browser.submit(form, f"{HOOKS}/new", **right | fields)
            assert (refused.status, 'role="alert"' in refused.text) == (400, True)
        assert await endpoints(home) == []


async def test_only_those_who_may_and_of_this_account(home: World, receiver: HostileReceiver) -> None:
    async with signed_in(home) as browser:
        path, _ = await made(home, browser, receiver.url)
        assert await questions(browser, HOOKS) == {ASKED: 1.0}
        assert await questions(browser, path) == {ASKED: 1.0, registry.WEBHOOKS_DELIVERY_LIST.subject: 1.0}
        for _ in range(3):
            await made(home, browser, receiver.url)
        assert await questions(browser, HOOKS) == {ASKED: 1.0}
    posts = ("edit", "pause", "enable", "test", "rotate", "delete", "replays", "replays/rp_1234567890abcdef/cancel")
    gets = ("", "/edit", "/deliveries", "/deliveries/1", "/replays")
    async with signed_in(home, "viewer") as viewer:
        page = await viewer.get("/dashboard/phones")
        assert HOOKS not in page.text
        assert [(await viewer.get(f"{path}{each}")).status for each in gets] == [403] * len(gets)
        assert [(await viewer.submit(page, f"{path}/{each}")).status for each in posts] == [403] * len(posts)
    await home.begin()
    async with signed_in(home, "owner") as stranger:
        page = await stranger.get(HOOKS)
        for theirs in (path, f"{HOOKS}/wh_no_such", f"{HOOKS}/%2e%2e"):
            assert [(await stranger.get(f"{theirs}{each}")).status for each in gets] == [404] * len(gets)
            for each in posts:
                fields = {"url": receiver.url, "state:expired": "on", "step": "begin"}
                assert (await stranger.submit(page, f"{theirs}/{each}", **fields)).status == 404, each
    assert receiver.requests == []
