"""The app's event stream at the whole installation: wakes, the newest of several streams, other gateways, the end."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from deploy.local.ports import free_port
from services.gateway import app as gateway_app
from shared.contracts import registry
from tests.support import http
from tests.support.servers import Servers
from tests.support.smsgate_calls import Caller, Events
from tests.support.smsgate_world import World, world
from tests.support.waiting import until

WAKE = ("MessageEnqueued", None)


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


async def known(here: World, phone: Caller) -> None:
    """Waits until the dispatcher counts on the phone."""

    async def online() -> bool:
        return any(device.id == phone.device and device.online for device in (await here.devices()).devices)

    await until(online, "the phone is online")


async def test_an_idle_phone_is_woken_at_once(here: World) -> None:
    phone = await here.caller()
    async with phone.stream() as events:
        await known(here, phone)
        began = time.monotonic()
        await here.send("text")
        assert await events.next() == WAKE
        assert time.monotonic() - began < 1


async def test_wakes_are_gathered_and_repeated_while_there_is_work(here: World) -> None:
    phone = await here.caller()
    async with phone.stream() as events:
        await known(here, phone)
        for n in range(20):
            await here.send(f"text {n}", sIdentifiant=phone.device)
        assert await events.next() == WAKE
        assert await events.next() == WAKE
        first, *_ = listed = await phone.pull()
        assert len(listed) == 8
        await phone.say(first["id"], "Processed")
        # It holds as much as it can send, and there is more.
        assert await events.next(2) == WAKE


async def test_the_newest_stream_is_the_phones(here: World) -> None:
    phone = await here.caller()
    async with phone.stream() as older, phone.stream() as newer:
        assert await older.next() is None
        await known(here, phone)
        await here.send("text", sIdentifiant=phone.device)
        assert await newer.next() == WAKE


async def test_a_phone_whose_stream_ends_is_offline_at_once(here: World) -> None:
    phone = await here.caller()
    async with phone.stream():
        await known(here, phone)

    async def offline() -> bool:
        return not (await here.devices()).devices[0].online

    await until(offline, "the phone is offline", 3)


async def test_a_list_whose_call_was_given_up_is_given_again_at_once(here: World) -> None:
    phone = await here.caller()
    guid = await here.send("text", sIdentifiant=phone.device)
    await here.ready(guid)
    (item,) = await phone.pull()
    async with phone.stream():
        assert await phone.pull() == [item]
        assert await phone.pull() == []


async def test_a_list_that_was_hung_up_on_at_another_gateway_is_given_again_at_once(here: World) -> None:
    port = free_port()
    phone = await here.caller()
    asking = await here.client.subscribe(registry.asked_subject(phone.device))
    async with (
        gateway_app.open_service(msgspec.structs.replace(here.settings, port=port, drain_s=0)),
        phone.stream() as events,
    ):
        await known(here, phone)
        guid = await here.send("text", sIdentifiant=phone.device)
        assert await events.next() == WAKE
        await here.ready(guid)
        async with here.pool.acquire() as connection, connection.transaction():
            # The dispatcher's answer waits for this row.
            await connection.execute("select from devices where id = $1 for update", phone.device)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET /mobile/v1/message HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {phone.token}\r\n\r\n"
            writer.write(head.encode())
            await asking.next_msg(timeout=5)
            writer.transport.abort()
            # By the answer to another call the gateway has noticed that the first one is given up.
            assert (await http.ask(f"http://127.0.0.1:{port}", "GET", "/health/live")).status == 200
        assert await events.next() == WAKE
        (item,) = await phone.pull()
        assert item["textMessage"] == {"text": "text"}


async def test_another_gateway_serves_the_same_phones(here: World) -> None:
    port = free_port()
    settings = msgspec.structs.replace(here.settings, port=port, drain_s=1)
    phone = await here.caller()
    async with gateway_app.open_service(settings):
        elsewhere = Caller(f"http://127.0.0.1:{port}", phone.token)
        elsewhere.device = phone.device
        async with elsewhere.stream() as first:
            assert first.status == 200
            await known(here, phone)
            heard = await here.client.subscribe(registry.all_subjects(phone.device))
            guid = await here.send("text", sIdentifiant=phone.device)
            assert await first.next() == WAKE
            (item,) = await phone.pull()

            async def pulled() -> bool:
                return (await heard.next_msg(timeout=5)).subject == registry.pulled_subject(phone.device)

            await until(pulled, "the gateway with the stream hears of the list")
            next_ = await here.send("text", sIdentifiant=phone.device)
            await here.ready(next_)
            await phone.say(item["id"], "Processed")
            # Sooner than a list that nobody has spoken of would let it.
            assert await first.next(2) == WAKE
            await elsewhere.say(item["id"], "Sent")
            await here.becomes(guid, "sent")
        assert [await phone.hook("sms:received")] != [None]


async def test_a_device_is_known_at_every_gateway_as_soon_as_it_has_its_token(here: World) -> None:
    port = free_port()
    elsewhere = f"http://127.0.0.1:{port}"
    async with gateway_app.open_service(msgspec.structs.replace(here.settings, port=port, drain_s=0)):
        form = http.form(apikey=here.account.api_key, recipients="+15551230000", message="too early")
        refused = await http.ask(elsewhere, "POST", "/sendsms/", body=form, headers=http.FORM)
        assert refused.json()["result"]["error"] != 0, "it knows that the account has no phone"
        phone = await Caller(here.url, await here.key()).register()
        form = http.form(
            apikey=here.account.api_key, recipients="+15551230000", message="text", sIdentifiant=phone.device
        )
        accepted = await http.ask(elsewhere, "POST", "/sendsms/", body=form, headers=http.FORM)
        assert accepted.json()["result"]["error"] == 0, accepted
        phone.url = elsewhere
        await here.ready(accepted.json()["result"]["id"])
        assert len(await phone.pull()) == 1


async def test_the_newest_stream_is_the_phones_also_at_another_gateway(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    phone = await here.caller()
    older = Caller(f"http://127.0.0.1:{port}", phone.token)
    monkeypatch.setattr(gateway_app, "RENEW_S", 0.2)
    async with (
        gateway_app.open_service(msgspec.structs.replace(here.settings, port=port, drain_s=0)),
        older.stream() as first,
    ):
        await known(here, phone)
        async with phone.stream() as newer:
            while await first.next() is not None:
                pass
            await here.send("text", sIdentifiant=phone.device)
            assert await newer.next() == WAKE


async def test_a_gateway_that_stops_lets_go_of_its_phones_one_after_the_other(here: World) -> None:
    port = free_port()
    settings = msgspec.structs.replace(here.settings, port=port, drain_s=1)
    phones = [await here.caller() for _ in range(3)]
    for phone in phones:
        phone.url = f"http://127.0.0.1:{port}"
    ends: list[float] = []

    async def listen(events: Events) -> None:
        assert await events.next(20) is None
        ends.append(time.monotonic())

    opened = gateway_app.open_service(settings)
    await opened.__aenter__()
    async with phones[0].stream() as a, phones[1].stream() as b, phones[2].stream() as c:
        listening = [asyncio.create_task(listen(each)) for each in (a, b, c)]
        await opened.__aexit__(None, None, None)
        await asyncio.gather(*listening)
    assert ends[2] - ends[0] > 0.05
