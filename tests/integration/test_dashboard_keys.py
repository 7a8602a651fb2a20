"""API keys, OAuth2 clients and enrolment keys in the dashboard: shown once, rotated, ended, and nobody else's."""

import re
from collections.abc import AsyncIterator

import pytest

from shared.bus.rpc import ASKED
from shared.contracts import registry
from shared.contracts.rpc.auth import CreateKey, Key, ListKeys
from shared.contracts.rpc.clients import (
    CreateClient,
    CreateEnrolmentKey,
    EnrolmentKey,
    ListClients,
    ListEnrolmentKeys,
)
from tests.support import http, stocks
from tests.support.auths import new_account, verify
from tests.support.browser import Page
from tests.support.dashboards import Dashboard, dashboard_of
from tests.support.markup import Markup
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world

KEYS, CLIENTS, ENROLMENT = "/dashboard/keys", "/dashboard/keys/clients", "/dashboard/keys/enrolment"
HOSTILE = '</code><script>alert(1)</script><b onclick="x">‮'


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def dashboard(installation: World) -> Dashboard:
    return await dashboard_of(installation)


def secret_of(page: Page) -> str:
    """What the page shows once."""
    assert page.status == 200, page.text[:3000]
    assert page.headers["cache-control"] == "no-store"
    found = re.search(r'<code class="secret">([0-9a-f]+)</code>', page.text)
    assert found is not None
    return found[1]


async def keys(dashboard: Dashboard) -> dict[str, Key]:
    found = await dashboard.ask.ask(registry.AUTH_KEY_LIST, ListKeys(dashboard.account))
    return {each.name: each for each in found.keys}


async def test_a_key_is_shown_once_used_rotated_and_revoked(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        form = await browser.get(f"{KEYS}/new")
        made = await browser.submit(form, KEYS, **{"name": "shop", "scope.sms:read": "on", "lives": "90", "rate": "30"})
        secret = secret_of(made)
        key = (await keys(dashboard))["shop"]
        assert (key.scopes, key.rate_per_minute, round((key.expires_at or 0) - key.created_at)) == (
            ["sms:read"], 30, 90 * 86_400,
        )  # fmt: skip
        assert secret in Markup(made.text).text.partition("Node")[2], "the ready-made lines hold it"
        bearer = {"Authorization": f"Bearer {secret}"}
        assert (await http.ask(dashboard.url, "GET", "/v1/account", headers=bearer)).status == 200
        page = await browser.get(f"{KEYS}/{key.id}")
        assert secret not in page.text
        assert "YOUR_API_KEY" in page.text
        assert secret not in (await browser.get(KEYS)).text

        second = secret_of(await browser.submit(page, f"{KEYS}/{key.id}/rotate", overlap_s="86400"))
        for each in (secret, second):
            assert (await verify(dashboard.ask, "api_key", each)).subject == key.id
        assert "valid until" in (await browser.get(f"{KEYS}/{key.id}")).text
        third = secret_of(await browser.submit(page, f"{KEYS}/{key.id}/rotate", overlap_s="0"))
        assert [(await verify(dashboard.ask, "api_key", each)).account for each in (secret, second)] == [None, None]

        ended = await browser.submit(page, f"{KEYS}/{key.id}/revoke")
        assert (ended.status, ended.location) == (303, f"{KEYS}?notice=keys.notice.revoked")
        assert (await verify(dashboard.ask, "api_key", third)).account is None
        assert "The key was revoked." in (await browser.get(ended.location)).text
        assert (await browser.submit(page, f"{KEYS}/{key.id}/rotate", overlap_s="0")).status == 404


async def test_a_client_gets_tokens_until_it_is_revoked(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        form = await browser.get(f"{CLIENTS}/new")
        made = await browser.submit(form, CLIENTS, **{"name": "erp", "scope.sms:send": "on", "scope.sms:read": "on"})
        secret = secret_of(made)
        (client,) = (await dashboard.ask.ask(registry.AUTH_CLIENT_LIST, ListClients(dashboard.account))).clients
        assert (client.name, client.scopes, client.expires_at) == ("erp", ["sms:send", "sms:read"], None)
        assert client.client_id in made.text

        async def status(shown: str) -> int:
            body = http.form(grant_type="client_credentials", client_id=client.client_id, client_secret=shown)
            return (await http.ask(dashboard.url, "POST", "/oauth2/token", body=body, headers=http.FORM)).status

        assert await status(secret) == 200
        place = f"{CLIENTS}/{client.client_id}"
        page = await browser.get(place)
        assert "YOUR_CLIENT_SECRET" in page.text
        assert secret not in page.text
        second = secret_of(await browser.submit(page, f"{place}/rotate", overlap_s="3600"))
        assert [await status(secret), await status(second)] == [200, 200]
        assert (await browser.submit(page, f"{place}/revoke")).status == 303
        assert await status(second) == 401


async def test_enrolment_keys_are_listed_and_revoked(dashboard: Dashboard) -> None:
    asked = CreateEnrolmentKey(account=dashboard.account, multi=True)
    made = await dashboard.ask.ask(registry.AUTH_ENROLMENT_CREATE, asked)

    async def key() -> EnrolmentKey:
        found = await dashboard.ask.ask(registry.AUTH_ENROLMENT_LIST, ListEnrolmentKeys(dashboard.account))
        return next(each for each in found.keys if each.id == made.id)

    async with dashboard.signed_in() as browser:
        page = await browser.get(ENROLMENT)
        assert made.id in page.text
        assert made.enrolment_key not in page.text
        assert (await key()).revoked_at is None
        assert (await browser.submit(page, f"{ENROLMENT}/{made.id}/revoke")).status == 303
        assert (await key()).revoked_at is not None
        assert (await browser.submit(page, f"{ENROLMENT}/enr_000000000000/revoke")).status == 404


async def test_what_was_typed_stays_with_what_is_wrong_beside_it(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        form = await browser.get(f"{KEYS}/new")
        for fields, told in (
            ({"name": "shop"}, "Choose at least one permission"),
            ({"name": "shop", "scope.sms:send": "on", "rate": "-1"}, "Enter a whole number"),
            ({"name": "shop", "scope.sms:send": "on", "rate": "99999999"}, "Enter a whole number"),
            ({"name": "shop", "scope.sms:send": "on", "rate": "1" + "0" * 5000}, "Enter a whole number"),
            ({"name": "shop", "scope.sms:send": "on", "lives": "7"}, "Choose one of the durations"),
            ({"name": "x" * 65, "scope.sms:send": "on"}, "Enter a name of 1 to 64"),
            ({"name": "", "scope.sms:send": "on"}, "Enter a name of 1 to 64"),
        ):
            for place in (KEYS, CLIENTS):
                page = await browser.submit(form, place, **fields)
                assert (page.status, told in page.text) == (400, True), (fields, told)
                assert Markup(page.text).values("input", "value").count(fields["name"]) >= bool(fields["name"])
        assert "shop" not in await keys(dashboard)
        key = (await keys(dashboard))["default"]
        for wrong in ("", "1", "-1", "99999999999", "x"):
            assert (await browser.submit(form, f"{KEYS}/{key.id}/rotate", overlap_s=wrong)).status == 400


async def test_only_an_owner_sees_and_changes_keys(dashboard: Dashboard) -> None:
    key = (await keys(dashboard))["default"]
    for role in ("viewer", "member"):
        login = f"{role}@example.org"
        await dashboard.new_user(login, role=role)
        async with dashboard.signed_in(login) as browser:
            home = await browser.get("/dashboard/profile")
            assert KEYS not in Markup(home.text).values("a", "href")
            for path in (KEYS, f"{KEYS}/new", f"{KEYS}/{key.id}", CLIENTS, ENROLMENT):
                assert (await browser.get(path)).status == 403, path
            for path in (KEYS, CLIENTS, f"{KEYS}/{key.id}/rotate", f"{KEYS}/{key.id}/revoke"):
                assert (await browser.submit(home, path, name="shop", overlap_s="0")).status == 403, path
    assert list(await keys(dashboard)) == ["default"]
    assert (await keys(dashboard))["default"].revoked_at is None


async def test_another_accounts_keys_do_not_exist(dashboard: Dashboard) -> None:
    other = (await new_account(dashboard.ask, "other")).account
    key = await dashboard.ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=other, name="theirs"))
    client = await dashboard.ask.ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=other, name="theirs"))
    enrolment = await dashboard.ask.ask(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=other))
    async with dashboard.signed_in() as browser:
        form = await browser.get(KEYS)
        for path in (f"{KEYS}/{key.id}", f"{CLIENTS}/{client.client_id}"):
            assert (await browser.get(path)).status == 404
            assert (await browser.submit(form, f"{path}/rotate", overlap_s="0")).status == 404
            assert (await browser.submit(form, f"{path}/revoke")).status == 404
        assert (await browser.submit(form, f"{ENROLMENT}/{enrolment.id}/revoke")).status == 404
        for path in (KEYS, CLIENTS, ENROLMENT):
            text = (await browser.get(path)).text
            assert not any(each in text for each in ("theirs", key.id, client.client_id, enrolment.id))
    (theirs,) = [
        each
        for each in (await dashboard.ask.ask(registry.AUTH_KEY_LIST, ListKeys(other))).keys
        if each.name == "theirs"
    ]
    assert theirs.revoked_at is None


async def test_a_hostile_name_is_only_a_name_in_both_languages(dashboard: Dashboard) -> None:
    asked = CreateKey(account=dashboard.account, name=HOSTILE.rstrip("‮"), scopes=["devices:read"])
    key = await dashboard.ask.ask(registry.AUTH_KEY_CREATE, asked)
    async with dashboard.signed_in() as browser:
        for language in ("en", "fr"):
            browser.headers["Accept_Language"] = language
            for path in (KEYS, f"{KEYS}/{key.id}", f"{KEYS}/new", CLIENTS, f"{CLIENTS}/new", ENROLMENT):
                page = await browser.get(path)
                assert page.status == 200, path
                assert f'<html lang="{language}">' in page.text
                Markup(page.text).assert_harmless()
        assert HOSTILE.rstrip("‮") in Markup((await browser.get(KEYS)).text).text
        shown = await browser.get(f"{KEYS}/{key.id}")
        assert "YOUR_API_KEY" not in shown.text, "there are no lines for what it may not do"


async def test_a_page_asks_the_same_few_questions_whatever_the_rows(installation: World, dashboard: Dashboard) -> None:
    pages = {KEYS: 2, CLIENTS: 2, ENROLMENT: 2, "/dashboard/people": 1, "/dashboard/audit": 2, "/dashboard/settings": 1}

    def asked() -> int:
        # Those that a page asks; verdicts are asked in between.
        counted = (sample for metric in ASKED.collect() for sample in metric.samples)
        lists = ("_list", "_page", "_show")
        return sum(int(each.value) for each in counted if each.labels["rpc"].endswith(lists) and "_total" in each.name)

    async with dashboard.signed_in() as browser:
        for rows in (3, stocks.MANY):
            for stock in (stocks.KEYS, stocks.CLIENTS, stocks.ENROLMENT):
                await stock.fill(installation.pool, dashboard.account, count=rows, ended=rows > 3)
            for number in range(rows // 8):
                key = CreateKey(account=dashboard.account, name=str(number))
                await dashboard.ask.ask(registry.AUTH_KEY_CREATE, key)
            for path, questions in pages.items():
                before = asked()
                assert (await browser.get(path)).status == 200
                assert asked() - before == questions, (path, rows)
