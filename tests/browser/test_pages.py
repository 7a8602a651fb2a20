"""Every page: nothing that some people cannot use, nothing that scrolls sideways, nothing that the policy forbids."""

import time

import pytest

from tests.browser.conftest import Eyes, Keep
from tests.support.people import signed_in
from tests.support.system import System

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
    "\u202egnihtemos\u202c \u2066\u2067hidden",
    "مرحبا بالعالم שלום 👩\u200d👩\u200d👧\u200d👦" * 4,
    "x" * 3000,
    "many words " * 900,
)
THREAD = "+15558881000"
SIZES = [(1280, False), (1280, True), (360, False), (360, True)]


@pytest.fixture(scope="module")
async def paths(system: System) -> dict[str, str]:
    """A page of each kind, with something in it that tries to do harm."""
    for text in HOSTILE:
        await system.cli("phone", "receive", "--name", "phone-1", "--from", THREAD, text)
    guid = ""
    for text in HOSTILE:
        guid = await system.send(text, THREAD)
    await system.send("not this month", "+15558881001", schedule_timestamp=int(time.time()) + 30 * 86_400)
    hook = await system.cli("webhook", "create", "https://hooks.example.invalid/a-rather-long-path/" + "p" * 120)
    await system.cli("phone", "receive", "--name", "phone-1", "--from", "<b>Bank</b>", HOSTILE[0])
    async with signed_in(system) as browser:
        keys = (await system.cli("key", "list"))["keys"]
        clients = (await system.cli("client", "list"))["clients"]
        devices = (await system.cli("phone", "list"))["devices"]
        users = (await system.cli("user", "list"))["users"]
        assert (await browser.get("/dashboard")).status == 200
    return {
        "overview": "/dashboard",
        "send": "/dashboard/send",
        "messages": "/dashboard/messages",
        "message": f"/dashboard/messages/{guid}",
        "inbox": "/dashboard/inbox",
        "thread": f"/dashboard/inbox/thread?with=%2B{THREAD[1:]}",
        "phones": "/dashboard/phones",
        "phone": f"/dashboard/phones/{devices[0]['id']}",
        "enrol": "/dashboard/phones/enrol",
        "webhooks": "/dashboard/webhooks",
        "webhook": f"/dashboard/webhooks/{hook['id']}",
        "webhook-edit": f"/dashboard/webhooks/{hook['id']}/edit",
        "webhook-new": "/dashboard/webhooks/new",
        "deliveries": f"/dashboard/webhooks/{hook['id']}/deliveries",
        "replays": f"/dashboard/webhooks/{hook['id']}/replays",
        "keys": "/dashboard/keys",
        "key": f"/dashboard/keys/{keys[0]['id']}",
        "key-new": "/dashboard/keys/new",
        "clients": "/dashboard/keys/clients",
        "client": f"/dashboard/keys/clients/{clients[0]['client_id']}",
        "enrolment-keys": "/dashboard/keys/enrolment",
        "people": "/dashboard/people",
        "person": f"/dashboard/people/{users[0]['id']}",
        "person-new": "/dashboard/people/new",
        "profile": "/dashboard/profile",
        "audit": "/dashboard/audit",
        "settings": "/dashboard/settings",
        "nothing": "/dashboard/messages/" + "0" * 40,
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "dark"), SIZES, ids=lambda value: str(value))
async def test_every_page_is_for_everybody(
    eyes: Eyes, paths: dict[str, str], shots: Keep, width: int, dark: bool
) -> None:
    page = await eyes.open("fr" if dark else "en", width=width, dark=dark)
    problems: list[str] = []
    for name, path in paths.items():
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == (404 if name == "nothing" else 200), (name, answer.status)
        await shots(page, f"{name}-{width}-{'dark' if dark else 'light'}")
        problems += await eyes.faults(page, name)
    assert problems == []
    await eyes.assert_quiet()


@pytest.mark.parametrize("width", [1280, 360])
async def test_the_doors_are_for_everybody(eyes: Eyes, shots: Keep, width: int) -> None:
    page = await eyes.stranger(width=width)
    for path in ("/dashboard/sign-in", "/dashboard/link/" + "0" * 64):
        await page.goto(path)
        await shots(page, f"{path.split('/')[2]}-{width}")
        assert await eyes.faults(page, path) == []
    await eyes.assert_quiet()
