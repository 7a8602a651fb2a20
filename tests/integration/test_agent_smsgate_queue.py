"""The phone of the app's kind: its own queue, with its order, its limits, its clock and what it cannot send."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from tests.support.fake_gateway import until
from tests.support.fake_smsgate_server import FakeSmsgateServer, fake_smsgate_server, iso
from tests.support.smsgate_phones import Handset, at_rest, handset


@pytest.fixture
async def server() -> AsyncIterator[FakeSmsgateServer]:
    async with fake_smsgate_server() as running:
        yield running


@pytest.fixture
def phone(server: FakeSmsgateServer) -> Handset:
    return handset(server)


async def test_what_cannot_be_sent_fails_in_words(server: FakeSmsgateServer, phone: Handset) -> None:
    async with phone.running():
        await at_rest(server, phone)
        server.add("third-sim", simNumber=3)
        server.add("secret", isEncrypted=True)
        server.add("late", validUntil=iso(phone.clock.now_ms() / 1000 - 1))
        server.add("empty")
        del server.listed[-1]["textMessage"]
        await server.say("MessageEnqueued")
        await until(lambda: all(server.states(name) == ["Failed"] for name in ("third-sim", "secret", "late")))
    errors = {name: server.reports[name][0]["recipients"][0]["error"] for name in ("third-sim", "secret", "late")}
    assert errors["third-sim"] == "No SIMs found"
    assert errors["secret"].startswith("Can't send message: ")
    assert errors["late"] == "TTL expired"
    assert phone.sent() == []
    assert server.reports["empty"] == []


async def test_the_phones_clock_decides_what_is_late(server: FakeSmsgateServer, phone: Handset) -> None:
    right_s = phone.clock.now_ms() / 1000
    async with phone.running():
        await at_rest(server, phone)
        phone.clock.wrong_by_ms = 2 * 3_600_000
        server.add("m1", validUntil=iso(right_s + 3600))
        await server.say("MessageEnqueued")
        await until(lambda: server.states("m1") == ["Failed"])
        phone.clock.wrong_by_ms = -2 * 3_600_000
        server.listed.clear()
        server.add("m2", validUntil=iso(right_s - 3600))
        await server.say("MessageEnqueued")
        await until(lambda: phone.sent() == ["m2"])


@pytest.mark.parametrize(("order", "wanted"), [("FIFO", ["b", "a", "c"]), ("LIFO", ["b", "c", "a"])])
async def test_priority_then_order(server: FakeSmsgateServer, phone: Handset, order: str, wanted: list[str]) -> None:
    server.settings = {"messages": {"processing_order": order}}
    soon = iso(phone.clock.now_ms() / 1000 + 50)
    async with phone.running():
        await at_rest(server, phone)
        for name, priority in (("a", 0), ("b", 1), ("c", 0)):
            server.add(name, priority=priority, scheduleAt=soon)
        await server.say("MessageEnqueued")
        await until(lambda: len(server.asked("GET", "/message")) == 3 and phone.clock.sleeping(50))
        assert phone.sent() == []
        phone.clock.advance(50)
        await until(lambda: len(phone.sent()) == 3)
    assert phone.sent() == wanted


async def test_pauses_and_limits(server: FakeSmsgateServer, phone: Handset) -> None:
    server.settings = {
        "messages": {
            "processing_order": "FIFO",
            "send_interval_min": 4,
            "send_interval_max": 4,
            "limit_period": "PerMinute",
            "limit_value": 2,
            "sim_selection_mode": "RoundRobin",
        }
    }
    async with phone.running():
        await at_rest(server, phone)
        for name in ("a", "b", "c"):
            server.add(name)
        await server.say("MessageEnqueued")
        await until(lambda: len(phone.sent()) == 1 and phone.clock.sleeping(4))
        phone.clock.advance(4)
        await until(lambda: len(phone.sent()) == 2 and phone.clock.sleeping(4))
        phone.clock.advance(4)
        await until(lambda: phone.clock.sleeping(52))
        assert len(phone.sent()) == 2
        phone.clock.advance(52)
        await until(lambda: phone.sent() == ["a", "b", "c"])
    assert [line["sim"] for line in phone.radio.lines] == [1, 2, 1]


async def test_two_recipients_and_bytes(server: FakeSmsgateServer, phone: Handset) -> None:
    phone.radio.throws.append("refused")
    async with phone.running():
        await at_rest(server, phone)
        server.add("m1", phoneNumbers=["+15551111111", "+15552222222"], dataMessage={"data": "AQID", "port": 2948})
        await server.say("MessageEnqueued")
        await until(lambda: server.states("m1")[-1:] == ["Sent"] and "Delivered" in str(server.reports["m1"]))
    last = max(server.reports["m1"], key=lambda report: str(report["recipients"]).count("Delivered"))
    assert last["recipients"] == [
        {"phoneNumber": "+15551111111", "state": "Failed", "error": "sendSMS: refused"},
        {"phoneNumber": "+15552222222", "state": "Delivered"},
    ]
    assert phone.radio.lines[0]["text_sha256"] == hashlib.sha256(b"\1\2\3").hexdigest()


async def test_what_the_log_forgot_is_sent_again(server: FakeSmsgateServer, phone: Handset) -> None:
    server.settings = {"messages": {"log_lifetime_days": 2}}
    async with phone.running():
        await at_rest(server, phone)
        server.add("m1")
        await server.say("MessageEnqueued")
        await until(lambda: "Delivered" in server.states("m1"))
    phone.clock.advance(86_400)
    async with phone.running():
        await until(lambda: server.streams and phone.clock.sleeping(900))
    assert phone.sent() == ["m1"]
    phone.clock.advance(2 * 86_400)
    async with phone.running():
        await until(lambda: phone.sent() == ["m1", "m1"])
