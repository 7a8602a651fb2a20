"""Settings and audit in the dashboard: what changes is what was typed, and every change can be read."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.auth import store
from services.gateway.dashboard.account.audit import VERBS
from shared.contracts import registry
from shared.contracts.rpc.audit import PageAudit
from shared.contracts.rpc.auth import Account, CreateKey, SetAccount, ShowAccount
from tests.integration.conftest import OpenWebhooks
from tests.support.auths import new_account
from tests.support.browser import Page
from tests.support.dashboards import Dashboard, dashboard_of
from tests.support.markup import Markup
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world

SETTINGS, AUDIT = "/dashboard/settings", "/dashboard/audit"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def dashboard(installation: World) -> Dashboard:
    return await dashboard_of(installation)


async def account(dashboard: Dashboard) -> Account:
    return (await dashboard.ask.ask(registry.AUTH_ACCOUNT_SHOW, ShowAccount(dashboard.account))).account


def typed(page: Page) -> dict[str, str]:
    """What the form of the page holds."""
    fields = {each["name"]: each for each in Markup(page.text).of("input") if "name" in each}
    return {
        name: each.get("value", "on")
        for name, each in fields.items()
        if each.get("type") != "checkbox" or "checked" in each
    }


async def test_an_owner_changes_what_was_typed_and_nothing_else(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        page = await browser.get(SETTINGS)
        assert "Europe/Paris" in Markup(page.text).values("option", "value")
        wish = {
            "time_zone": "Europe/Paris",
            "region": "fr",
            "max_parts": "4",
            "daily_sends": "1000",
            "quiet_from": "22:00",
            "quiet_until": "07:00",
        }
        saved = await browser.post(SETTINGS, typed(page) | wish)
        assert (saved.status, saved.location) == (303, f"{SETTINGS}?notice=settings.notice.saved")
        now = await account(dashboard)
        assert (now.time_zone, now.region, now.max_parts, now.rate_per_minute) == ("Europe/Paris", "FR", 4, None)
        assert (now.daily_sends, now.quiet, now.quiet_urgent) == (1000, "22:00-07:00", True)
        page = await browser.get(SETTINGS)
        assert (await browser.post(SETTINGS, typed(page))).status == 303
        emptied = {"region": "", "max_parts": "", "quiet_from": "", "quiet_until": ""}
        without = {name: value for name, value in (typed(page) | emptied).items() if name != "quiet_urgent"}
        assert (await browser.post(SETTINGS, without)).status == 303
        now = await account(dashboard)
        assert (now.region, now.max_parts, now.quiet, now.quiet_urgent) == (None, None, None, False)
        found = await dashboard.ask.ask(
            registry.AUTH_AUDIT_PAGE, PageAudit(account=dashboard.account, verb="account.set")
        )
        assert [sorted(each.detail) for each in found.entries] == [
            ["max_parts", "quiet", "quiet_urgent", "region"],
            ["daily_sends", "max_parts", "quiet", "region", "time_zone"],
        ], "only what differs was set, and a form sent as it was sets nothing"
        assert {each.who for each in found.entries} == {dashboard.owner.id}


async def test_what_is_wrong_stands_beside_its_field_and_changes_nothing(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        page = await browser.get(SETTINGS)
        before = await account(dashboard)
        for wish, told in (
            ({"time_zone": "Mars/Olympus"}, "There is no such time zone"),
            ({"time_zone": ""}, "There is no such time zone"),
            ({"time_zone": "../../etc/passwd"}, "There is no such time zone"),
            ({"region": "F"}, "Enter two letters"),
            ({"max_parts": "-1"}, "Enter a whole number"),
            ({"rate_per_minute": "1e3"}, "Enter a whole number"),
            ({"daily_sends": "1000001"}, "Enter a whole number"),
            ({"quiet_from": "22:00"}, "two different times"),
            ({"quiet_from": "07:00", "quiet_until": "07:00"}, "two different times"),
            ({"quiet_from": "24:00", "quiet_until": "07:00"}, "two different times"),
        ):
            refused = await browser.post(SETTINGS, typed(page) | wish)
            assert (refused.status, told in refused.text) == (400, True), wish
            assert typed(refused) | wish == typed(refused), "what was typed stays"
        assert await account(dashboard) == before


async def test_everybody_reads_the_settings_and_an_owner_changes_them(dashboard: Dashboard) -> None:
    await dashboard.new_user("bob@example.org", role="viewer")
    await dashboard.ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=dashboard.account, daily_sends=1234))
    async with dashboard.signed_in("bob@example.org") as browser:
        page = await browser.get(SETTINGS)
        assert "1,234" in page.text
        assert "time_zone" not in typed(page)
        assert (await browser.submit(page, SETTINGS, time_zone="Europe/Paris")).status == 403
        assert (await browser.get(AUDIT)).status == 403
    assert (await account(dashboard)).time_zone == "UTC"


async def test_services_tell_how_long_they_keep_what(dashboard: Dashboard, open_webhooks: OpenWebhooks) -> None:
    async with dashboard.signed_in() as browser:
        silent = Markup((await browser.get(SETTINGS)).text).text
        assert silent.count("not responding") == 1 + 2, "webhooks, and two things that it keeps"
        assert all(told in silent for told in ("90 days", "365 days"))
        async with open_webhooks():
            text = Markup((await browser.get(SETTINGS)).text).text
    assert "30 days" in text
    assert "not responding" not in text


async def test_the_audit_log_says_in_words_who_did_what(dashboard: Dashboard) -> None:
    other = (await new_account(dashboard.ask, "other")).account
    await dashboard.ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=other, name="theirs"))
    await asyncio.gather(
        *(
            dashboard.ask.ask(
                registry.AUTH_KEY_CREATE, CreateKey(account=dashboard.account, name=f"{HOSTILE} {number}")
            )
            for number in range(51)
        )
    )
    async with dashboard.signed_in() as browser:
        page = await browser.get(AUDIT)
        shown = Markup(page.text)
        shown.assert_harmless()
        assert "signed in" in shown.text
        assert "the operator" in shown.text
        assert HOSTILE in shown.text
        assert "theirs" not in shown.text
        (older,) = [link for link in shown.values("a", "href") if "before=" in link]
        rest = Markup((await browser.get(older)).text)
        assert "created the account" in rest.text
        assert not any("before=" in link for link in rest.values("a", "href"))
        mine = Markup((await browser.get(f"{AUDIT}?who={dashboard.owner.id}&verb=user.sign_in")).text)
        assert HOSTILE not in mine.text
        assert mine.text.count("127.0.0.1") == 1
        assert "No matching entries" in (await browser.get(f"{AUDIT}?who=nobody")).text
        for before in ("x", "-1", "9" * 19, "9" * 5000, "%00"):
            assert (await browser.get(f"{AUDIT}?before={before}")).status == 404, before[:20]
        browser.headers["Accept_Language"] = "fr"
        for path in (AUDIT, SETTINGS):
            french = await browser.get(path)
            assert '<html lang="fr">' in french.text
            Markup(french.text).assert_harmless()


def test_the_log_has_words_for_what_auth_writes_down() -> None:
    sources = [path.read_text() for path in Path(store.__file__).parent.glob("*.py")]
    written = {
        verb for text in sources for verb in re.findall(r"""(?:done|note)\(\s*"([a-z_.]+)"|'(token\.refused)'""", text)
    }
    of_accounts = {plain or quoted for plain, quoted in written if not plain.startswith("signing.")}
    assert of_accounts == set(VERBS)
