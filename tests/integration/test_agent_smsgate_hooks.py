"""The phone of the app's kind: webhooks with their signatures and retries, and the settings that a server pushes."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator

import pytest

from tests.support.fake_gateway import until
from tests.support.fake_smsgate_server import FakeSmsgateServer, Request, fake_smsgate_server, iso, status
from tests.support.smsgate_phones import Handset, at_rest, handset, waited

KEY = "pushed-by-the-server"


@pytest.fixture
async def server() -> AsyncIterator[FakeSmsgateServer]:
    async with fake_smsgate_server() as running:
        yield running


@pytest.fixture
def phone(server: FakeSmsgateServer) -> Handset:
    return handset(server)


def signed(call: Request, key: str) -> bool:
    """Whether the call is signed as a receiver would check it."""
    stamp = call.headers["X-Timestamp"].encode()
    wanted = hmac.digest(key.encode(), call.body + stamp, hashlib.sha256).hex()
    return hmac.compare_digest(call.headers["X-Signature"], wanted)


async def test_a_received_text_is_posted_and_signed(server: FakeSmsgateServer, phone: Handset) -> None:
    server.hook("sms:received", "ours")
    server.hook("mms:received", "other")
    at_ms = phone.clock.now_ms()
    async with phone.running() as app:
        await at_rest(server, phone)
        assert await app.receive("+15557654321", "grüße", 2, at_ms)
        await until(lambda: server.calls)
        # The same hash is the same text to the app, whatever it was.
        assert not await app.receive("+15557654321", "grüße", 2, at_ms)
        assert await app.receive("+15557654321", "grüße", 2, at_ms + 1)
        await asyncio.wait_for(app.settled(), 10)
    first, second = server.calls
    assert signed(first, phone.memory.facts["signing_key"])
    assert not signed(first, KEY)
    assert abs(int(first.headers["X-Timestamp"]) - at_ms / 1000) < 2
    assert first.headers["User-Agent"].startswith("me.capcom.smsgateway/")
    assert first.peer != second.peer
    call = first.json
    assert (call["webhookId"], call["event"], call["deviceId"]) == ("ours", "sms:received", app.device)
    assert call["payload"] == {
        "messageId": call["payload"]["messageId"],
        "sender": "+15557654321",
        "recipient": phone.radio.sims[1].number,
        "simNumber": 2,
        "phoneNumber": "+15557654321",
        "message": "grüße",
        "receivedAt": iso(at_ms / 1000),
    }
    assert len({first.json["id"], second.json["id"]}) == 2
    assert len({first.json["payload"]["messageId"], second.json["payload"]["messageId"]}) == 2


async def test_a_webhook_is_tried_fifteen_times_under_one_id(server: FakeSmsgateServer, phone: Handset) -> None:
    server.hook("sms:received")
    server.scripts["POST /hook"] = status(500, 1000)
    async with phone.running() as app:
        await at_rest(server, phone)
        await app.receive("+15557654321", "hello", 1, phone.clock.now_ms())
        for wait_s in (5 * 2.0**n for n in range(1, 15)):
            await waited(phone, wait_s)
        await asyncio.wait_for(app.settled(), 10)
    assert len(server.calls) == 15
    assert len({call.json["id"] for call in server.calls}) == 1
    assert len({call.headers["X-Timestamp"] for call in server.calls}) == 15
    assert all(signed(call, phone.memory.facts["signing_key"]) for call in server.calls)


async def test_calls_of_a_killed_app_are_made_by_the_next(server: FakeSmsgateServer, phone: Handset) -> None:
    server.hook("sms:received")
    server.scripts["POST /hook"] = status(500, 2)
    async with phone.running() as app:
        await at_rest(server, phone)
        await app.receive("+15557654321", "hello", 1, phone.clock.now_ms())
        await until(lambda: phone.clock.sleeping(10))
    async with phone.running():
        await until(lambda: server.streams)
        phone.clock.advance(10)
        await waited(phone, 20)
        await until(lambda: len(server.calls) == 3)
    assert len({call.json["id"] for call in server.calls}) == 1


async def ended(server: FakeSmsgateServer, name: str) -> None:
    await until(lambda: server.states(name)[-1:] in (["Delivered"], ["Failed"]))


async def test_what_became_of_texts_is_told_too(server: FakeSmsgateServer, phone: Handset) -> None:
    for event in ("app:started", "sms:sent", "sms:delivered", "sms:failed", "sms:cancelled"):
        server.hook(event)
    phone.radio.codes["sent"] += ["RESULT_OK", "RESULT_ERROR_LIMIT_EXCEEDED", "RESULT_OK"]
    phone.radio.codes["delivered"] += ["RESULT_OK", "RESULT_ERROR_GENERIC_FAILURE"]
    async with phone.running() as app:
        await at_rest(server, phone)
        for name in ("a", "b", "c"):
            server.listed.clear()
            server.add(name)
            await server.say("MessageEnqueued")
            await ended(server, name)
        await asyncio.wait_for(app.settled(), 10)
    told = sorted((call.json["payload"]["messageId"], call.json["event"]) for call in server.calls)
    assert told == [
        ("a", "sms:delivered"),
        ("a", "sms:sent"),
        ("b", "sms:failed"),
        ("c", "sms:failed"),
        ("c", "sms:sent"),
    ]
    errors = {name: server.reports[name][-1]["recipients"][0].get("error") for name in ("a", "b", "c")}
    assert errors == {
        "a": None,
        "b": "Send result: RESULT_ERROR_LIMIT_EXCEEDED",
        "c": "Delivery result: RESULT_ERROR_GENERIC_FAILURE",
    }
    assert phone.sent() == ["a", "c"]


async def test_an_unknown_event_spoils_the_list_of_webhooks(server: FakeSmsgateServer, phone: Handset) -> None:
    server.hook("sms:received", "kept")
    async with phone.running() as app:
        await at_rest(server, phone)
        server.hook("sms:batch:received", "unheard-of")
        server.hook("system:ping", "new")
        await server.say("WebhooksUpdated")
        await until(lambda: phone.clock.sleeping(10))
        await app.emit("system:ping", {})
        await app.receive("+15557654321", "hello", 1, phone.clock.now_ms())
        await asyncio.wait_for(app.settled(), 10)
        assert [call.json["webhookId"] for call in server.calls] == ["kept"]
        del server.webhooks[1]
        phone.clock.advance(10)
        await until(lambda: phone.clock.sleeping(86_400) == 3)
        await app.emit("system:ping", {})
        await until(lambda: server.calls[-1].json["webhookId"] == "new")


async def test_settings_are_merged_and_bad_ones_asked_for_again(server: FakeSmsgateServer, phone: Handset) -> None:
    async with phone.running() as app:
        await at_rest(server, phone)
        before = app.preferences
        assert (before.messages.processing_order, before.webhooks.retry_count) == ("LIFO", 15)
        server.settings = {
            "webhooks": {"signing_key": KEY, "retry_count": 2},
            "messages": {"processing_order": "FIFO", "unheard_of": 1},
            "camera": 3,
        }
        await server.say("SettingsUpdated")
        await until(lambda: app.preferences.webhooks.signing_key == KEY)
        server.settings = {"messages": "none"}
        await server.say("SettingsUpdated")
        await until(lambda: phone.clock.sleeping(10))
        assert app.preferences.messages.processing_order == "FIFO"
        server.settings = {"messages": {"processing_order": None}}
        phone.clock.advance(10)
        await until(lambda: app.preferences.messages.processing_order == "LIFO")
    async with phone.running() as again:
        assert (again.preferences.webhooks.signing_key, again.preferences.webhooks.retry_count) == (KEY, 2)


async def test_a_pushed_key_signs_and_a_pushed_channel_counts_at_the_next_start(
    server: FakeSmsgateServer, phone: Handset
) -> None:
    server.settings = {"webhooks": {"signing_key": KEY}, "gateway": {"notification_channel": "SSE_ONLY"}}
    server.hook("sms:received")
    phone.push_token = "fcm"
    async with phone.running() as app:
        await until(lambda: app.preferences.webhooks.signing_key == KEY)
        await until(lambda: phone.clock.sleeping(86_400) == 3)
        await app.receive("+15557654321", "hello", 1, phone.clock.now_ms())
        await until(lambda: server.calls)
        assert server.asked("GET", "/events") == []
    assert signed(server.calls[0], KEY)
    async with phone.running():
        await until(lambda: server.streams)


async def test_the_ping_service_pulls_and_calls(server: FakeSmsgateServer, phone: Handset) -> None:
    server.settings = {"ping": {"interval_seconds": 60}}
    server.hook("system:ping")
    async with phone.running():
        await at_rest(server, phone)
    async with phone.running():
        await until(lambda: phone.clock.sleeping(60))
        await until(lambda: len(server.asked("GET", "/message")) == 4 and phone.clock.sleeping(900))
        phone.clock.advance(60)
        await until(lambda: server.calls and len(server.asked("GET", "/message")) == 5)
    assert server.calls[0].json["payload"] == {"health": {"status": "pass"}}


async def test_an_export_tells_only_what_the_app_never_noticed(server: FakeSmsgateServer, phone: Handset) -> None:
    server.hook("sms:received")
    now_ms = phone.clock.now_ms()
    wanted = (
        f'{{"since": "{iso(now_ms / 1000 - 60)}", "until": "{iso(now_ms / 1000 + 60)}", "messageTypes": "SMS,MMS"}}'
    )
    async with phone.running() as app:
        await at_rest(server, phone)
        await app.receive("+15557654321", "noticed", 1, now_ms)
        await app.receive("+15557654321", "missed", 1, now_ms, noticed=False)
        await app.receive("+15557654321", "too old", 1, now_ms - 3_600_000, noticed=False)
        await until(lambda: len(server.calls) == 1)
        for _ in range(2):
            await server.say("MessagesExportRequested", wanted)
        await server.say("MessagesExportRequested", '{"since": "yesterday", "until": "now"}')
        await until(lambda: len(server.calls) == 2)
        await asyncio.wait_for(app.settled(), 10)
    assert [call.json["payload"]["message"] for call in server.calls] == ["noticed", "missed"]


async def test_cleartext_is_for_loopback_only(server: FakeSmsgateServer, phone: Handset) -> None:
    phone.url = phone.url.replace("127.0.0.1", "localhost")
    async with phone.running():
        await until(lambda: phone.clock.sleeping(10))
    assert server.requests == []
    phone.cleartext = True
    async with phone.running():
        await until(lambda: server.streams)
