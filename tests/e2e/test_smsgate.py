"""The whole installation as `make up` has it, with a phone of the app's kind as a process: every send is in a file."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from tests.support.smsgate_agents import AppPhone
from tests.support.system import System
from tests.support.waiting import until


@pytest.fixture
async def phone(system: System) -> AsyncIterator[AppPhone]:
    made = AppPhone(system, f"app-{secrets.token_hex(3)}")
    await made.start()
    await system.cli("phone", "budget", made.device, "--per-minute", "0", "--per-hour", "0", "--per-day", "0")
    try:
        yield made
    finally:
        await made.stop()
        await system.cli("phone", "remove", made.device)


async def test_a_phone_of_the_app_is_a_phone_like_any_other(system: System, phone: AppPhone) -> None:
    guids = [await system.send(f"by app {n}", sIdentifiant=phone.device) for n in range(5)]
    for guid in guids:
        await system.succeeded(guid)
    await phone.kill()
    late = await system.send("after the kill", sIdentifiant=phone.device)
    await phone.start()
    await system.succeeded(late)
    assert sorted(phone.performed()) == sorted([*guids, late])
    listed = (await system.cli("phone", "list"))["devices"]
    (told,) = [each for each in listed if each["id"] == phone.device]
    assert (told["protocol"], told["online"], told["name"]) == ("smsgate", True, f"SMSFleet/{phone.name}")


async def test_what_it_receives_is_in_the_inbox(system: System, phone: AppPhone) -> None:
    words = ("phone", "receive", "--name", phone.name, "--from", "+15557650001", "hello from the app")
    # The app posts to nobody before it has its list of webhooks.
    await until(phone.knows_where_to_post, "the phone has its webhooks")
    await asyncio.to_thread(system.run, *words)

    async def there() -> bool:
        return any(row["message"] == "hello from the app" for row in await system.inbox())

    await until(there, "the text is in the inbox")
