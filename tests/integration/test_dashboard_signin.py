"""Signing in to the dashboard and out of it, in browsers, with real auth and Valkey behind."""

import re
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.contracts import registry
from shared.contracts.rpc.audit import ListAudit
from shared.contracts.rpc.people import SetPassword, SetUser, SignOutUser
from shared.runtime.settings import ServiceSettings
from tests.support.browser import Browser, Page, browsing
from tests.support.dashboards import OWNER, PASSWORD, Dashboard, running_dashboard
from tests.support.questions import Named, question
from tests.support.waiting import until

HOME, SIGN_IN = "/dashboard", "/dashboard/sign-in"


@pytest.fixture
async def dashboard(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Dashboard]:
    async with running_dashboard(settings, nats_client) as running:
        yield running


@pytest.fixture
async def browser(dashboard: Dashboard) -> AsyncIterator[Browser]:
    async with browsing(dashboard.url) as opened:
        yield opened


async def is_in(browser: Browser) -> bool:
    answer = await browser.get(HOME)
    assert answer.status in (200, 303), answer.text
    return answer.status == 200


async def out_soon(browser: Browser) -> None:
    async def out() -> bool:
        return not await is_in(browser)

    await until(out, "the browser is signed out", within_s=1.0)


def token_of(page: Page) -> str:
    """The session that the answer gave."""
    found: list[str] = re.findall(r"smsfleet_session=([0-9a-f]{64})", " ".join(page.set_cookies))
    assert len(found) == 1
    return found[0]


async def test_a_person_signs_in_sees_pages_and_signs_out(dashboard: Dashboard, browser: Browser) -> None:
    sent = await browser.get("/dashboard?x=1")
    assert (sent.status, sent.location) == (303, SIGN_IN)
    page = await browser.get(SIGN_IN)
    assert page.status == 200
    entered = await browser.submit(page, SIGN_IN, login="Ana@example.org ", password=PASSWORD, next="")
    assert (entered.status, entered.location) == (303, HOME)
    home = await browser.get(HOME)
    assert home.status == 200
    assert OWNER in home.text
    again = await browser.get(SIGN_IN)
    assert (again.status, again.location) == (303, HOME)
    left = await browser.submit(home, "/dashboard/sign-out")
    assert (left.status, left.location) == (303, f"{SIGN_IN}?notice=signin.notice.signed_out")
    assert "You are signed out." in (await browser.get(left.location)).text
    assert not await is_in(browser)
    assert "smsfleet_session" not in browser.cookies
    browser.plant("smsfleet_session", token_of(entered))
    assert not await is_in(browser)
    log = await dashboard.ask.ask(registry.AUTH_AUDIT_LIST, ListAudit(account=dashboard.account))
    assert (log.entries[0].verb, log.entries[0].who) == ("user.sign_in", dashboard.owner.id)
    assert log.entries[0].address == "127.0.0.1"


async def test_who_is_wrong_is_told_one_sentence_and_slowed_down(dashboard: Dashboard, browser: Browser) -> None:
    told = set()
    for login, password in ((OWNER, "wrong"), ("nobody@example.org", PASSWORD), ("", ""), ("\0", "\x7f")):
        page = await browser.sign_in(login, password)
        assert page.status == 401
        told.update(re.findall(r'role="alert">([^<]*)<', page.text))
        assert "smsfleet_session" not in " ".join(page.set_cookies)
    assert told == {"The login or the password is wrong."}
    hostile = '"><script>alert(1)</script>'
    page = await browser.sign_in(hostile, "x")
    assert "<script>alert" not in page.text
    statuses = [(await browser.sign_in(OWNER, f"wrong {n}")).status for n in range(6)]
    assert statuses == [401] * 4 + [429] * 2
    slowed = await browser.sign_in(OWNER, PASSWORD)
    assert (slowed.status, "Too many attempts" in slowed.text) == (429, True)


async def test_an_address_that_guesses_is_held(settings: ServiceSettings, nats_client: Client) -> None:
    async with (
        running_dashboard(settings, nats_client, guesses_per_minute=3) as dashboard,
        browsing(dashboard.url) as browser,
    ):
        page = await browser.get(SIGN_IN)
        forms = [{"login": f"{n}@example.org", "password": "wrong"} for n in range(5)]
        # One a second comes through.
        assert [(await browser.submit(page, SIGN_IN, **form)).status for form in forms] == [401] * 4 + [429]


async def test_every_sign_in_is_a_session_of_its_own(dashboard: Dashboard, browser: Browser) -> None:
    planted = "f" * 64
    browser.plant("smsfleet_session", planted)
    page = await browser.get(SIGN_IN)
    form = browser.cookies["smsfleet_form"]
    first = token_of(await browser.submit(page, SIGN_IN, login=OWNER, password=PASSWORD))
    # What was planted neither became the session nor stands before it.
    assert first != planted
    assert OWNER in (await browser.get(HOME)).text
    # Another tab that still shows the form lets somebody else in: the session before ends.
    await dashboard.new_user("bob@example.org", role="viewer")
    browser.plant("smsfleet_form", form)
    second = token_of(await browser.submit(page, SIGN_IN, login="bob@example.org", password=PASSWORD))
    assert second not in (first, planted)
    assert "bob@example.org" in (await browser.get(HOME)).text
    browser.forget("smsfleet_session")
    for token, worth in ((first, False), (planted, False), (second, True)):
        browser.plant("smsfleet_session", token)
        assert await is_in(browser) is worth


async def test_a_link_is_spent_by_its_button_only(dashboard: Dashboard, browser: Browser) -> None:
    path = await dashboard.new_link(dashboard.owner)
    for _ in range(3):
        page = await browser.get(path)
        assert (page.status, page.text.count("<form")) == (200, 1)
    entered = await browser.submit(page, path)
    assert (entered.status, entered.location) == (303, HOME)
    assert await is_in(browser)
    async with browsing(dashboard.url) as other:
        for link in (path, f"/dashboard/link/{'0' * 64}", "/dashboard/link/x", "/dashboard/link/%C3%A9"):
            refused = await other.submit(await other.get(link), link)
            assert refused.status == 403, link
            assert "no longer valid" in refused.text
        assert not await is_in(other)


async def test_people_go_on_to_where_they_were(dashboard: Dashboard, browser: Browser) -> None:
    sent = await browser.get("/dashboard/live?x=%2F")
    assert sent.location == f"{SIGN_IN}?next=/dashboard/live%3Fx%3D%252F"
    page = await browser.get(sent.location)
    assert 'name="next" value="/dashboard/live?x=%2F"' in page.text
    entered = await browser.submit(page, SIGN_IN, login=OWNER, password=PASSWORD, next="/dashboard/live?x=%2F")
    assert entered.location == "/dashboard/live?x=%2F"
    async with browsing(dashboard.url) as other:
        for wanted in ("//evil.example", "https://evil.example", "/\\evil.example", "/dashboard/%2e%2e//evil.example"):
            page = await other.get(f"{SIGN_IN}?next={wanted}")
            assert "evil" not in page.text.split('name="next"')[1].split(">")[0]
        entered = await other.submit(page, SIGN_IN, login=OWNER, password=PASSWORD, next="//evil.example")
        assert entered.location == HOME
        assert (await other.get(f"{SIGN_IN}?next=//evil.example")).location == HOME


async def test_a_user_is_out_at_once_wherever_auth_says_so(dashboard: Dashboard) -> None:
    user = await dashboard.new_user("bob@example.org", role="member")
    known: Named = {"account": dashboard.account, "id": user.id}
    for put in (
        question(registry.AUTH_USER_SIGN_OUT, SignOutUser(**known), 20),
        question(registry.AUTH_USER_SET_PASSWORD, SetPassword(**known, password=PASSWORD), 20),
        question(registry.AUTH_USER_SET, SetUser(**known, disabled=True), 20),
    ):
        async with dashboard.signed_in(user.login) as one, dashboard.signed_in(user.login) as other:
            assert await is_in(one)
            await put(dashboard.ask)
            await out_soon(one)
            await out_soon(other)


async def test_signing_out_everywhere_leaves_others_in(dashboard: Dashboard) -> None:
    bob = await dashboard.new_user("bob@example.org", role="viewer")
    async with (
        dashboard.signed_in() as one,
        dashboard.signed_in() as other,
        dashboard.signed_in(bob.login) as bobs,
    ):
        left = await one.submit(await one.get(HOME), "/dashboard/sign-out-everywhere")
        assert left.location.endswith("signed_out_everywhere")
        await out_soon(one)
        await out_soon(other)
        assert await is_in(bobs)
        assert (await one.sign_in(OWNER, PASSWORD)).status == 303
        assert await is_in(one)
    log = await dashboard.ask.ask(registry.AUTH_AUDIT_LIST, ListAudit(account=dashboard.account))
    (entry,) = [each for each in log.entries if each.verb == "user.sign_out"]
    assert (entry.who, entry.address) == (dashboard.owner.id, "127.0.0.1")


async def test_the_pages_speak_french(browser: Browser) -> None:
    page = await browser.get(SIGN_IN, Accept_Language="fr-BE,en;q=0.5")
    assert "Mot de passe" in page.text
    assert "Connexion par lien" in (await browser.get("/dashboard/link/x", Accept_Language="fr")).text
