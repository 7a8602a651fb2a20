"""The ways to the dashboard: https and plain http, an account that is suspended, and Valkey that loses or is away."""

import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import msgspec
import pytest
from nats.aio.client import Client
from redis.asyncio import Redis

from deploy.local.ports import free_port
from services.gateway.app import open_service
from services.gateway.settings import GatewaySettings
from shared.contracts import registry
from shared.contracts.rpc.auth import SetAccount
from shared.contracts.rpc.people import SetUser
from shared.runtime.settings import ServiceSettings
from tests.support.browser import browsing
from tests.support.dashboards import OWNER, PASSWORD, Dashboard, running_dashboard
from tests.support.relay import Relay
from tests.support.waiting import until

HOME, SIGN_IN = "/dashboard", "/dashboard/sign-in"


@pytest.fixture
async def dashboard(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Dashboard]:
    async with running_dashboard(settings, nats_client) as running:
        yield running


async def test_a_role_changes_within_a_second(dashboard: Dashboard) -> None:
    user = await dashboard.new_user("bob@example.org", role="viewer")
    async with dashboard.signed_in(user.login) as browser:
        assert "/dashboard/send" not in (await browser.get(HOME)).text
        request = SetUser(account=dashboard.account, id=user.id, role="member")
        await dashboard.ask.ask(registry.AUTH_USER_SET, request)

        async def may_send() -> bool:
            return "/dashboard/send" in (await browser.get(HOME)).text

        await until(may_send, "the menu offers to send", within_s=1.0)


async def test_cookies_are_as_safe_as_the_way_that_they_came(settings: ServiceSettings, nats_client: Client) -> None:
    public = "https://sms.example"
    async with (
        running_dashboard(settings, nats_client, public_url=public, trusted_proxies="127.0.0.1") as dashboard,
        browsing(dashboard.url) as browser,
    ):
        proxied = {"Host": "sms.example:443"}
        for told, name, attribute in (
            ({}, "smsfleet_form", ""),
            ({"Host": "192.168.1.5:8080"}, "smsfleet_form", ""),
            ({"X_Forwarded_Proto": "http"}, "smsfleet_form", ""),
            (proxied, "__Secure-smsfleet_form", "; secure"),
            ({"X_Forwarded_Proto": "https"}, "__Secure-smsfleet_form", "; secure"),
            ({"X_Forwarded_Proto": "http, https"}, "__Secure-smsfleet_form", "; secure"),
        ):
            (cookie,) = (await browser.get(SIGN_IN, **told)).set_cookies
            assert re.fullmatch(rf"{name}=[0-9a-f]{{64}}; .*", cookie), (told, cookie)
            assert ("; secure" in cookie.lower()) is bool(attribute)
            for wanted in ("; httponly", "; samesite=lax", "; path=/dashboard"):
                assert wanted in cookie.lower()
        # In the LAN over http, whatever the public URL says.
        entered = await browser.sign_in(OWNER, PASSWORD)
        assert entered.status == 303
        assert (await browser.get(HOME)).status == 200
        # The same cookie, planted over http, is worth nothing over https.
        assert (await browser.get(HOME, **proxied)).status == 303


async def test_valkey_may_lose_everything(settings: ServiceSettings, dashboard: Dashboard) -> None:
    assert settings.redis_url is not None
    valkey = Redis.from_url(settings.redis_url)
    async with dashboard.signed_in() as browser:
        await valkey.flushdb()
        assert (await browser.get(HOME)).location == SIGN_IN
        assert (await browser.sign_in(OWNER, PASSWORD)).status == 303
        assert (await browser.get(HOME)).status == 200
    await valkey.aclose()


async def test_without_valkey_pages_say_so_and_links_are_not_spent(
    settings: ServiceSettings, nats_client: Client
) -> None:
    assert settings.redis_url is not None
    where = urlsplit(settings.redis_url)
    async with Relay.to(settings.redis_url) as line:
        secret, at, _ = where.netloc.rpartition("@")
        by_line = where._replace(netloc=f"{secret}{at}{urlsplit(line.url).netloc}").geturl()
        async with (
            running_dashboard(settings, nats_client, redis_url=by_line) as dashboard,
            dashboard.signed_in() as browser,
            browsing(dashboard.url) as other,
        ):
            await line.cut()
            assert (await browser.get(HOME)).status == 503
            page, link = await other.get(SIGN_IN), await dashboard.new_link(dashboard.owner)
            assert page.status == 200
            refused = await other.submit(page, SIGN_IN, login=OWNER, password=PASSWORD)
            assert (refused.status, "<h1>" in refused.text) == (503, True)
            assert refused.headers["retry-after"]
            assert (await other.submit(await other.get(link), link)).status == 503
            await line.mend()
            assert (await browser.get(HOME)).status == 200
            assert (await other.submit(await other.get(link), link)).status == 303


async def test_a_session_holds_at_every_gateway(settings: ServiceSettings, dashboard: Dashboard) -> None:
    port = free_port()
    own = GatewaySettings(**(msgspec.structs.asdict(settings) | {"port": port, "leave_s": 0}))
    async with open_service(own), dashboard.signed_in() as browser:
        browser.url = f"http://127.0.0.1:{port}"
        home = await browser.get(HOME)
        assert OWNER in home.text
        assert (await browser.submit(home, "/dashboard/sign-out")).status == 303
        browser.url = dashboard.url
        assert (await browser.get(HOME)).status == 303


async def test_whoever_is_of_a_suspended_account_may_come_in_as_somebody_else(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        await dashboard.ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=dashboard.account, status="suspended"))

        async def suspended() -> bool:
            return (await browser.get(HOME)).status == 403

        await until(suspended, "the account's pages are closed", within_s=1.0)
        assert (await browser.get(SIGN_IN)).status == 200
