"""The phone of the app's kind against a server of its protocol: registration, pulls, states, the event channel."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiohttp import web

from tests.support.fake_gateway import until
from tests.support.fake_smsgate_server import TOKEN, FakeSmsgateServer, Request, fake_smsgate_server, iso, status
from tests.support.smsgate_phones import Handset, at_rest, handset, waited

BAD_ITEM = (
    b'[{"id":"a","message":"x","phoneNumbers":["1"]},{"id":"b","message":"x","phoneNumbers":["1"],"priority":300}]'
)


@pytest.fixture
async def server() -> AsyncIterator[FakeSmsgateServer]:
    async with fake_smsgate_server() as running:
        yield running


@pytest.fixture
def phone(server: FakeSmsgateServer) -> Handset:
    return handset(server)


async def test_the_first_start_registers_and_then_asks_for_everything(
    server: FakeSmsgateServer, phone: Handset
) -> None:
    async with phone.running():
        await until(lambda: server.streams and len(server.asked("GET", "/message")) == 2)
        await until(lambda: server.asked("GET", "/settings") and server.asked("GET", "/webhooks"))
    (registration,) = server.asked("POST", "/device")
    assert registration.headers["Authorization"] == f"Bearer {TOKEN}"
    assert registration.headers["User-Agent"].startswith("me.capcom.smsgateway/")
    body = registration.json
    assert body["name"] == "Simulated/phone"
    assert "pushToken" not in body
    assert [sorted(card) for card in body["simCards"]] == [["carrierName", "phoneNumber", "simNumber", "slotIndex"]] * 2
    assert [(card["slotIndex"], card["simNumber"], len(card["phoneNumber"])) for card in body["simCards"]] == [
        (0, 1, 4),
        (1, 2, 4),
    ]
    (token,) = server.tokens
    assert phone.memory.facts["token"] == token
    assert {request.headers["Authorization"] for request in server.asked("GET", "/message")} == {f"Bearer {token}"}
    assert server.asked("GET", "/message")[0].query == {"order": "lifo"}
    assert server.asked("GET", "/events")[0].headers["Accept"] == "text/event-stream"
    assert server.asked("PATCH", "/device") == []


async def test_a_restart_shows_the_token_and_401_registers_anew(server: FakeSmsgateServer, phone: Handset) -> None:
    async with phone.running():
        await until(lambda: server.streams)
    device = phone.memory.facts["device"]
    async with phone.running():
        await until(lambda: server.streams)
    (patch,) = server.asked("PATCH", "/device")
    assert patch.json["id"] == device
    server.tokens.clear()
    async with phone.running():
        await until(lambda: server.streams)
        assert len(server.asked("PATCH", "/device")) == 2
        assert len(server.asked("POST", "/device")) == 2
        assert phone.memory.facts["device"] != device


@pytest.mark.parametrize("code", [403, 404, 500])
async def test_no_other_refusal_than_401_registers_anew(server: FakeSmsgateServer, phone: Handset, code: int) -> None:
    async with phone.running():
        await until(lambda: server.streams)
    server.scripts["PATCH /device"] = status(code, 2)
    async with phone.running():
        for wait_s in (10, 20):
            await until(partial(phone.clock.sleeping, wait_s))
            assert not server.streams
            phone.clock.advance(wait_s)
        await until(lambda: server.streams)
    assert len(server.asked("PATCH", "/device")) == 3
    assert len(server.asked("POST", "/device")) == 1


async def test_the_address_is_used_as_typed(server: FakeSmsgateServer, phone: Handset) -> None:
    phone.url += "/"
    async with phone.running() as app:
        await at_rest(server, phone)
        assert b"externalIp" in await app.public_ip()
    assert all(request.typed.startswith("/mobile/v1//") for request in server.requests)


async def test_a_message_is_sent_once_and_told_in_three_reports(server: FakeSmsgateServer, phone: Handset) -> None:
    async with phone.running():
        await at_rest(server, phone)
        server.add("m1", phoneNumbers=["+1 (555) 123-4567"], simNumber=2, unheardOf={"of": 1})
        await server.say("MessageEnqueued")
        await until(lambda: len(server.reports["m1"]) == 3)
        # What is listed again is only reported again.
        await server.say("MessageEnqueued")
        await until(lambda: len(server.reports["m1"]) == 4)
    assert phone.sent() == ["m1"]
    assert (phone.radio.lines[0]["number"], phone.radio.lines[0]["sim"]) == ("+15551234567", 2)
    last = server.reports["m1"][-1]
    assert last["recipients"] == [{"phoneNumber": "+1 (555) 123-4567", "state": "Delivered"}]
    assert set(last["states"]) == {"Pending", "Processed", "Sent", "Delivered"}
    assert all(moment.endswith("Z") and len(moment) == 24 for moment in last["states"].values())


async def test_reports_overtake_each_other(server: FakeSmsgateServer, phone: Handset) -> None:
    lags = iter([60.0, 30.0])
    phone.report_lag_s = lambda: next(lags, 0.0)
    phone.radio.pace(delay_ms=1000, delivery_ms=1000)
    async with phone.running():
        await at_rest(server, phone)
        server.add("m1")
        await server.say("MessageEnqueued")
        await until(lambda: phone.clock.sleeping(60) and phone.clock.sleeping(1))
        phone.clock.advance(1)
        await until(lambda: phone.clock.sleeping(30) and phone.clock.sleeping(1))
        phone.clock.advance(1)
        for wait_s in (30, 30):
            await until(lambda: server.reports["m1"])
            phone.clock.advance(wait_s)
        await until(lambda: len(server.reports["m1"]) == 3)
    assert server.states("m1") == ["Delivered", "Sent", "Processed"]
    assert set(server.reports["m1"][2]["states"]) == {"Pending", "Processed"}


async def test_a_report_is_tried_eleven_times(server: FakeSmsgateServer, phone: Handset) -> None:
    server.scripts["PATCH /message"] = status(503, 1000)
    phone.radio.throws.append("no telephony")
    async with phone.running() as app:
        await at_rest(server, phone)
        server.add("m1")
        await server.say("MessageEnqueued")
        for wait_s in (10 * 2.0**n for n in range(10)):
            await until(partial(phone.clock.sleeping, wait_s))
            server.listed.clear()
            phone.clock.advance(wait_s)
        await asyncio.wait_for(app.settled(), 10)
    assert len(server.asked("PATCH", "/message")) == 11
    assert server.asked("PATCH", "/message")[0].json[0]["recipients"][0]["error"] == "sendSMS: no telephony"


async def test_one_bad_item_spoils_the_whole_pull(server: FakeSmsgateServer, phone: Handset) -> None:
    server.raw["GET /message"] = BAD_ITEM
    async with phone.running():
        await until(lambda: server.streams and phone.clock.sleeping(10))
        assert phone.sent() == []
        server.raw["GET /message"] = BAD_ITEM.replace(b"300", b"127")
        phone.clock.advance(10)
        await until(lambda: sorted(phone.sent()) == ["a", "b"])
        # Priority goes first, whatever the order.
        assert phone.sent() == ["b", "a"]


async def test_the_channel_wakes_the_phone_and_a_connection_pulls(server: FakeSmsgateServer, phone: Handset) -> None:
    async with phone.running():
        await until(lambda: server.streams and len(server.asked("GET", "/message")) == 2)
        server.add("m1")
        await server.say(None)
        await until(lambda: phone.sent() == ["m1"])
        await server.say("SomethingNew", '{"from": "the future"}')
        server.settings = {"messages": {"processing_order": "FIFO"}}
        asked = len(server.asked("GET", "/settings"))
        await server.say("SettingsUpdated")
        await until(lambda: len(server.asked("GET", "/settings")) == asked + 1)
        server.hook("sms:received")
        await server.say("WebhooksUpdated")
        await until(lambda: len(server.asked("GET", "/webhooks")) == 2)
        await server.say("MessageEnqueued")
        await until(lambda: server.asked("GET", "/message")[-1].query == {"order": "fifo"})
        assert len(server.streams) == 1


async def test_the_channel_comes_back_on_its_own_schedule(server: FakeSmsgateServer, phone: Handset) -> None:
    async with phone.running():
        await until(lambda: server.streams)
        server.tokens.clear()
        server.cut()
        for wait_s in (5, 5, 5, 5, 5, 30, 30, 30, 30, 30, 60, 60):
            await waited(phone, wait_s)
        assert len(server.asked("POST", "/device")) == 1
        await until(lambda: phone.clock.sleeping(60))
        server.tokens[phone.memory.facts["token"]] = phone.memory.facts["device"]
        pulls = len(server.asked("GET", "/message"))
        phone.clock.advance(60)
        await until(lambda: server.streams and len(server.asked("GET", "/message")) > pulls)
        server.cut()
        # A connection that stood begins the schedule anew.
        await until(lambda: phone.clock.sleeping(5))
    assert phone.channel == [True, False, True, False]


async def test_a_burst_of_events_cancels_the_pull_in_flight(server: FakeSmsgateServer, phone: Handset) -> None:
    held = asyncio.Event()
    asked: list[str] = []
    cut: list[str] = []

    async def hold(_: Request) -> web.StreamResponse | None:
        asked.append("asked")
        try:
            await held.wait()
        except asyncio.CancelledError:
            cut.append("cut")
            raise
        return None

    async def say(times: int) -> None:
        await server.say("MessageEnqueued")
        await until(lambda: len(asked) == times)

    async with phone.running():
        await at_rest(server, phone)
        server.scripts["GET /message"] = hold
        server.add("m1")
        for times in (1, 2, 3):
            await say(times)
        await until(lambda: len(cut) == 2)
        held.set()
        await until(lambda: phone.sent() == ["m1"])


async def test_without_events_it_polls_every_fifteen_minutes(server: FakeSmsgateServer, phone: Handset) -> None:
    phone.push_token = "fcm"
    async with phone.running():
        await until(lambda: len(server.asked("GET", "/message")) == 1 and phone.clock.sleeping(900))
        server.add("m1")
        phone.clock.advance(900)
        await until(lambda: phone.sent() == ["m1"])
    assert server.asked("GET", "/events") == []
    assert server.asked("POST", "/device")[0].json["pushToken"] == "fcm"


async def test_cancelling(server: FakeSmsgateServer, phone: Handset) -> None:
    late = iso(phone.clock.now_ms() / 1000 + 3600)
    async with phone.running():
        await at_rest(server, phone)
        server.add("by-event", scheduleAt=late)
        server.add("by-list", scheduleAt=late)
        server.add("sent")
        server.add("never-seen", state="Cancelling")
        server.add("odd", state="Delivered")
        await server.say("MessageEnqueued")
        await until(lambda: server.states("never-seen") == ["Cancelled"] and "Delivered" in server.states("sent"))
        await server.say("MessageCancelled", '{"messageId": "by-event"}')
        await server.say("MessageCancelled", '{"messageId": "sent"}')
        await server.say("MessageCancelled", "null")
        await until(lambda: "Cancelled" in server.states("by-event"))
        for item in server.listed:
            if item["id"] in ("by-list", "sent"):
                item["state"] = "Cancelling"
        await server.say("MessageEnqueued")
        await until(lambda: "Cancelled" in server.states("by-list"))
        phone.clock.advance(7200)
    assert phone.sent() == ["sent"]
    assert "Cancelled" not in server.states("sent")
    assert server.reports["odd"] == []


async def test_what_was_pulled_survives_a_kill_and_what_was_handed_over_is_not_sent_again(
    server: FakeSmsgateServer, phone: Handset
) -> None:
    soon = iso(phone.clock.now_ms() / 1000 + 100)
    phone.radio.pace(delay_ms=1_000_000)
    async with phone.running():
        await at_rest(server, phone)
        server.add("waiting", scheduleAt=soon)
        server.add("in-radio")
        await server.say("MessageEnqueued")
        await until(lambda: server.states("in-radio") == ["Processed"])
        await until(lambda: phone.clock.sleeping(100))
    server.listed.clear()
    phone.radio.pace(delay_ms=0)
    phone.clock.advance(100)
    async with phone.running():
        await until(lambda: "Delivered" in server.states("waiting"))
    assert phone.sent() == ["in-radio", "waiting"]
    # Told a second time where the end came before the answer.
    assert set(server.states("in-radio")) == {"Processed"}


async def test_many_phones_share_one_connector(server: FakeSmsgateServer) -> None:
    phones = [handset(server) for _ in range(20)]
    async with asyncio.TaskGroup() as tasks:
        ready = [tasks.create_task(_visit(phone, server)) for phone in phones]
    assert all(task.result() for task in ready)
    assert len(server.tokens) == len(phones)


async def _visit(phone: Handset, server: FakeSmsgateServer) -> bool:
    async with phone.running():
        await until(lambda: phone.channel)
        return phone.channel == [True]
