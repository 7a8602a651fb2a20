"""What every route of the dashboard refuses, whatever it does: strangers, frames, forms of other sites."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
from litestar import Litestar
from nats.aio.client import Client

from services.gateway.dashboard.door.headers import HEADERS
from services.gateway.scopes import PUBLIC
from shared.runtime.settings import ServiceSettings
from tests.support.browser import Page, browsing
from tests.support.dashboards import Dashboard, running_dashboard
from tests.support.whole import HOME, noted, templates

SIGN_IN = f"{HOME}/sign-in"
OTHER_SITE = "http://evil.example"
MORE_TRIES: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"csrf": ""}, {}),
    ({"csrf": "0" * 64}, {}),
    ({"csrf": "é"}, {}),
    ({}, {"Origin": "null"}),
    ({}, {"Sec_Fetch_Site": "cross-site"}),
    ({}, {"Sec_Fetch_Site": "same-site"}),
]
"""Fields and headers; with headers the token is right."""


@pytest.fixture
def apps(monkeypatch: pytest.MonkeyPatch) -> list[Litestar]:
    """The Litestar apps of the gateways that the test runs."""
    return noted(monkeypatch)


@pytest.fixture
async def dashboard(apps: list[Litestar], settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Dashboard]:
    async with running_dashboard(settings, nats_client) as running:
        yield running


def routes(app: Litestar, method: str) -> Iterator[tuple[str, str]]:
    """Each path of the dashboard with this method, its parameters filled in, and what it needs."""
    for template, need in templates(app, method):
        yield re.sub(r"\{[^}]*\}", "1", template), need


def assert_guarded(page: Page) -> None:
    for name, value in HEADERS.items():
        assert page.headers[name.lower()] == value, name
    assert page.headers["cache-control"] in ("no-store", "public, max-age=31536000, immutable")


async def test_no_form_is_taken_that_our_own_page_did_not_send(dashboard: Dashboard, apps: list[Litestar]) -> None:
    posts = dict(routes(apps[0], "POST"))
    assert {SIGN_IN, "/dashboard/sign-out", "/dashboard/link/1"} <= posts.keys()
    async with dashboard.signed_in() as browser:
        (session,) = re.findall(r'name="csrf" value="([0-9a-f]{64})"', (await browser.get(HOME)).text)[:1]
        async with browsing(dashboard.url) as stranger:
            page = await stranger.get(SIGN_IN)
            for path, need in posts.items():
                # Each is refused although the cookies are right.
                visitor, right = (stranger, page.csrf) if need == PUBLIC else (browser, session)
                wrong = page.csrf if need != PUBLIC else session
                tries: list[tuple[dict[str, str], dict[str, str]]] = [
                    ({}, {}),
                    ({"csrf": wrong}, {}),
                    ({}, {"Origin": OTHER_SITE}),
                ]
                # Where it is one place that looks, its whole variety is shown once for each kind of visitor.
                tries += MORE_TRIES if path in (SIGN_IN, "/dashboard/sign-out") else []
                for fields, headers in tries:
                    told = {"csrf": right} | fields if headers else fields
                    refused = await visitor.post(path, told, **headers)
                    assert refused.status == 403, (path, fields, headers)
                    assert_guarded(refused)
        assert (await browser.get(HOME)).status == 200


async def test_what_is_no_form_is_answered_with_a_page(dashboard: Dashboard) -> None:
    async with browsing(dashboard.url) as browser:
        page = await browser.get(SIGN_IN)
        csrf = f"csrf={page.csrf}&".encode()
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        for body, headers, status in (
            (csrf, {"Content_Type": "multipart/form-data; boundary=x"}, 415),
            (csrf, {"Content_Type": "application/json"}, 415),
            (csrf, {"Content_Type": "text/plain"}, 415),
            (csrf + b"login=a&login=b", form, 400),
            (csrf + csrf, form, 400),
            (csrf + b"login=%ff", form, 400),
            (csrf + b"&".join(b"f%d=" % n for n in range(200)), form, 400),
            (csrf + b"login=" + b"x" * 300_000, form, 413),
        ):
            refused = await browser.post(SIGN_IN, body, **headers)
            assert (refused.status, "<h1>" in refused.text) == (status, True), (body[:100], headers)
            assert_guarded(refused)


async def test_other_methods_are_refused_with_a_page(dashboard: Dashboard) -> None:
    async with browsing(dashboard.url) as stranger, dashboard.signed_in() as browser:
        for visitor in (stranger, browser):
            for method in ("OPTIONS", "HEAD", "PUT", "DELETE"):
                for path in (HOME, SIGN_IN, "/dashboard/keys", "/dashboard/link/1"):
                    refused = await visitor.ask(method, path)
                    assert refused.status == 405, (method, path)
                    assert_guarded(refused)


async def test_strangers_get_no_page_and_every_answer_is_guarded(dashboard: Dashboard, apps: list[Litestar]) -> None:
    async with browsing(dashboard.url) as stranger, dashboard.signed_in() as browser:
        for path, need in routes(apps[0], "GET"):
            answer = await stranger.get(path)
            assert_guarded(answer)
            if need != PUBLIC:
                assert (answer.status, answer.location.partition("?")[0]) == (303, SIGN_IN), path
                # A stream of events has no end; the stranger's answer has shown its headers' place.
                if not path.endswith("/live"):
                    assert_guarded(await browser.get(path))
        assert_guarded(await browser.get("/dashboard/there/is/no/such/page"))
        assert_guarded(await stranger.get("/dashboard/static/app.css"))
        assert_guarded(await stranger.post(HOME, {}))
        inline = (await browser.get(HOME)).text + (await stranger.get(SIGN_IN)).text
        assert not re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", inline)


async def test_roles_open_what_they_are_for(dashboard: Dashboard, apps: list[Litestar]) -> None:
    await dashboard.new_user("eve@example.org", role="viewer")
    async with dashboard.signed_in("eve@example.org") as browser:
        csrf = (await browser.get(HOME)).csrf
        for path, need in routes(apps[0], "POST"):
            if need not in (PUBLIC, "authenticated", "sms:read", "devices:read"):
                assert (await browser.post(path, {"csrf": csrf})).status == 403, path
