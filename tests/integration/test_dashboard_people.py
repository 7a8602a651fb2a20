"""People in the dashboard: invited, promoted, put out, and everybody's own page with a password of one's own."""

import re
from collections.abc import AsyncIterator

import pytest

from shared.contracts import registry
from shared.contracts.rpc.people import CheckUser, CreateUser, ListUsers, User
from tests.support.auths import new_account
from tests.support.browser import browsing
from tests.support.dashboards import PASSWORD, Dashboard, dashboard_of
from tests.support.markup import Markup
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.waiting import until

PEOPLE, PROFILE = "/dashboard/people", "/dashboard/profile"
OTHER_PASSWORD = "tin violin 17 crab"


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def dashboard(installation: World) -> Dashboard:
    return await dashboard_of(installation)


@pytest.fixture
def login(dashboard: Dashboard) -> str:
    """A login that nobody else has."""
    return f"bob.{dashboard.account}@example.org"


async def user(dashboard: Dashboard, login: str) -> User:
    found = await dashboard.ask.ask(registry.AUTH_USER_LIST, ListUsers(dashboard.account))
    return next(each for each in found.users if each.login == login)


async def test_somebody_is_invited_and_comes_in_by_the_link_once(dashboard: Dashboard, login: str) -> None:
    async with dashboard.signed_in() as browser, browsing(dashboard.url) as guest:
        form = await browser.get(f"{PEOPLE}/new")
        made = await browser.submit(form, PEOPLE, login=login.upper(), role="viewer")
        assert (made.status, made.headers["cache-control"]) == (200, "no-store")
        found = re.search(rf'<code class="secret">{dashboard.url}(/dashboard/link/[0-9a-f]+)</code>', made.text)
        assert found is not None, made.text
        bob = await user(dashboard, login)
        assert (bob.role, bob.has_password) == ("viewer", False)

        page = await guest.get(found[1])
        assert (await guest.submit(page, found[1])).status == 303
        own = await guest.get(PROFILE)
        assert login in Markup(own.text).text
        assert "present" not in Markup(own.text).values("input", "name"), "there is no password to ask for"
        set_ = await guest.submit(own, f"{PROFILE}/password", password=OTHER_PASSWORD, again=OTHER_PASSWORD)
        assert (set_.status, set_.location) == (303, f"{PROFILE}?notice=people.notice.own_password")
        assert (await guest.get(PROFILE)).status == 200, "the browser that did it stays signed in"
        asked = CheckUser(login=login, password=OTHER_PASSWORD, address="192.0.2.7")
        assert (await dashboard.ask.ask(registry.AUTH_USER_CHECK, asked, 20)).id == bob.id

        taken = await browser.submit(form, PEOPLE, login=login, role="viewer")
        assert (taken.status, "This login is taken" in taken.text) == (409, True)
        wrong = await browser.submit(form, PEOPLE, login="bob", role="viewer")
        assert (wrong.status, "looks like an email address" in wrong.text) == (400, True)
        assert (await browser.submit(form, PEOPLE, login="x@example.org", role="god")).status == 400


async def test_a_role_changes_what_somebody_may_at_once_and_disabling_ends_it(dashboard: Dashboard, login: str) -> None:
    bob = await dashboard.new_user(login, role="viewer")
    place = f"{PEOPLE}/{bob.id}"
    async with dashboard.signed_in() as browser, dashboard.signed_in(login) as guest:
        page = await browser.get(place)
        assert (await guest.get(PEOPLE)).status == 403
        assert (await browser.submit(page, f"{place}/role", role="owner")).status == 303

        async def may() -> bool:
            return (await guest.get(PEOPLE)).status == 200

        await until(may, "an owner sees the people")
        assert (await browser.submit(page, f"{place}/disable")).status == 303

        async def is_out() -> bool:
            return (await guest.get(PEOPLE, Accept="text/html")).status == 303

        await until(is_out, "who is disabled is signed out")
        assert (await user(dashboard, login)).disabled
        assert (await browser.submit(page, f"{place}/link")).status == 404
        assert (await browser.submit(page, f"{place}/enable")).status == 303
        assert not (await user(dashboard, login)).disabled


async def test_the_last_owner_stays_one(dashboard: Dashboard) -> None:
    place = f"{PEOPLE}/{dashboard.owner.id}"
    async with dashboard.signed_in() as browser:
        page = await browser.get(place)
        for path, fields in ((f"{place}/role", {"role": "viewer"}), (f"{place}/disable", {})):
            refused = await browser.submit(page, path, **fields)
            assert (refused.status, "must keep an owner" in refused.text) == (409, True)
        assert (await user(dashboard, dashboard.owner.login)).role == "owner"
        assert (await browser.submit(page, f"{place}/password", password=OTHER_PASSWORD)).location == PROFILE


async def test_ones_own_password_needs_the_present_one_and_puts_other_browsers_out(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as here, dashboard.signed_in() as there:
        page = await here.get(PROFILE)
        for fields, status, told in (
            (
                {"present": "wrong", "password": OTHER_PASSWORD, "again": OTHER_PASSWORD},
                403,
                "not your current password",
            ),
            ({"present": PASSWORD, "password": OTHER_PASSWORD, "again": "another"}, 400, "do not match"),
            ({"present": PASSWORD, "password": "short", "again": "short"}, 400, "Choose another one"),
        ):
            refused = await here.submit(page, f"{PROFILE}/password", **fields)
            assert (refused.status, told in refused.text) == (status, True), fields
            assert not any(value in Markup(refused.text).values("input", "value") for value in fields.values())
        before = here.cookies
        fields = {"present": PASSWORD, "password": OTHER_PASSWORD, "again": OTHER_PASSWORD}
        assert (await here.submit(page, f"{PROFILE}/password", **fields)).status == 303
        assert (await here.get(PROFILE)).status == 200
        assert here.cookies != before, "the session is another one"

        async def is_out() -> bool:
            return (await there.get(PROFILE, Accept="text/html")).status == 303

        await until(is_out, "the other browser is signed out")


async def test_an_owner_sets_anothers_password(dashboard: Dashboard, login: str) -> None:
    bob = await dashboard.new_user(login)
    async with dashboard.signed_in() as browser:
        page = await browser.get(f"{PEOPLE}/{bob.id}")
        short = await browser.submit(page, f"{PEOPLE}/{bob.id}/password", password="short")
        assert (short.status, "Choose another one" in short.text) == (400, True)
        set_ = await browser.submit(page, f"{PEOPLE}/{bob.id}/password", password=OTHER_PASSWORD)
        assert set_.location == f"{PEOPLE}/{bob.id}?notice=people.notice.password"
        async with browsing(dashboard.url) as guest:
            assert (await guest.sign_in(login, OTHER_PASSWORD)).status == 303


async def test_nobody_else_manages_people_and_another_accounts_do_not_exist(dashboard: Dashboard, login: str) -> None:
    other = (await new_account(dashboard.ask, "other")).account
    asked = CreateUser(account=other, login="eve@example.net", password=PASSWORD)
    eve = await dashboard.ask.ask(registry.AUTH_USER_CREATE, asked, 20)
    bob = await dashboard.new_user(login, role="member")
    verbs = ("role", "disable", "enable", "link", "password")
    async with dashboard.signed_in() as browser, dashboard.signed_in(login) as member:
        page, own = await browser.get(PEOPLE), await member.get(PROFILE)
        assert eve.login not in page.text
        assert (await browser.get(f"{PEOPLE}/{eve.id}")).status == 404
        assert PEOPLE not in Markup(own.text).values("a", "href")
        for path in (PEOPLE, f"{PEOPLE}/new", f"{PEOPLE}/{bob.id}"):
            assert (await member.get(path)).status == 403
        for verb in verbs:
            fields = {"role": "owner", "password": OTHER_PASSWORD}
            assert (await browser.submit(page, f"{PEOPLE}/{eve.id}/{verb}", **fields)).status == 404, verb
            assert (await member.submit(own, f"{PEOPLE}/{bob.id}/{verb}", **fields)).status == 403, verb
        assert (await member.submit(own, PEOPLE, login="x@example.org", role="owner")).status == 403
        for language in ("en", "fr"):
            browser.headers["Accept_Language"] = language
            for path in (PEOPLE, f"{PEOPLE}/new", f"{PEOPLE}/{bob.id}", PROFILE):
                shown = await browser.get(path)
                assert shown.status == 200, path
                Markup(shown.text).assert_harmless()
    assert (await user(dashboard, login)).role == "member"
