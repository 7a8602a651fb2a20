"""A text that was typed into a form that cannot be taken: it is shown again, not sent, and to nobody else."""

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
from nats.aio.client import Client

from services.gateway.dashboard.frame.languages import load
from shared.runtime.settings import ServiceSettings
from tests.support.browser import Page
from tests.support.dashboards import OWNER, PASSWORD, Dashboard, running_dashboard
from tests.support.markup import Markup

WORDS = load()
SEND, SIGN_IN = "/dashboard/send", "/dashboard/sign-in"
TEXT = '  typed for ten minutes & "quoted"\n</textarea><script>alert(1)</script>'
TYPED = {"to": "+15551234567", "text": TEXT, "step": "send"}


@pytest.fixture
async def dashboard(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Dashboard]:
    async with running_dashboard(settings, nats_client) as running:
        yield running


def assert_shown(page: Page, text: str = TEXT) -> None:
    assert "<script>alert" not in page.text
    assert text in Markup(page.text).text
    assert TYPED["to"] in Markup(page.text).text


def goes_on(page: Page) -> str:
    """Where the page's button leads."""
    (found,) = re.findall(r'class="button primary" href="([^"]+)"', page.text)
    return unescape(found)


async def test_a_text_outlives_the_session_that_it_was_typed_in(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        form = await browser.get(SEND)
        await browser.submit(form, "/dashboard/sign-out")
        refused = await browser.submit(form, SEND, **TYPED)
        assert refused.status == 401
        assert_shown(refused)
        # Signing in leads to the form with the text in it.
        assert goes_on(refused).startswith(f"{SIGN_IN}?next=/dashboard/send")
        page = await browser.get(goes_on(refused))
        (wanted,) = re.findall(r'name="next" value="([^"]+)"', page.text)
        fields = {"login": OWNER, "password": PASSWORD, "next": unescape(wanted)}
        entered = await browser.submit(page, SIGN_IN, **fields)
        assert entered.location == fields["next"] != "/dashboard"


async def test_a_form_of_an_earlier_session_gives_its_text_back(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        form = await browser.get(SEND)
        await browser.submit(form, "/dashboard/sign-out")
        await browser.sign_in(OWNER, PASSWORD)
        for path, fields in (
            (SEND, TYPED),
            ("/dashboard/inbox/reply", {"with": TYPED["to"], "text": TEXT}),
            (f"/dashboard/phones/{'x' * 21}/test", {"number": TYPED["to"], "text": TEXT}),
        ):
            refused = await browser.submit(form, path, **fields)
            assert refused.status == 403
            assert_shown(refused)
            assert WORDS["en"]("errors.unsent.copy") not in refused.text
            assert goes_on(refused).startswith("/dashboard/send?to=%2B15551234567&text=")
        # What is too long for an address is shown whole all the same.
        refused = await browser.submit(form, SEND, **(TYPED | {"text": "long " * 4000}))
        assert_shown(refused, "long " * 3999)
        assert goes_on(refused) == SEND
        assert WORDS["en"]("errors.unsent.copy") in refused.text


async def test_nothing_is_shown_that_another_site_sent_or_that_is_secret(dashboard: Dashboard) -> None:
    async with dashboard.signed_in() as browser:
        form = await browser.get(SEND)
        elsewhere = await browser.post(SEND, {"csrf": form.csrf} | TYPED, Origin="https://evil.example")
        assert (elsewhere.status, "typed for" in elsewhere.text) == (403, False)
        await browser.submit(form, "/dashboard/sign-out")
        elsewhere = await browser.post(SEND, TYPED, Sec_Fetch_Site="cross-site")
        assert (elsewhere.status, elsewhere.location) == (303, SIGN_IN)
        changed = await browser.submit(form, "/dashboard/profile/password", present=PASSWORD, password="other otter 42")
        assert (changed.status, changed.location) == (303, SIGN_IN)
        counted = await browser.submit(form, "/dashboard/send/shape", text=TEXT)
        asked = await browser.post("/dashboard/send/shape", {"csrf": form.csrf, "text": TEXT}, Sec_Fetch_Dest="empty")
        assert (counted.status, asked.status, asked.text) == (401, 401, "")
