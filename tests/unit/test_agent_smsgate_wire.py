"""What the app's phone reads and writes: tolerant where the app's parser is, and spoiled by what spoils it."""

import json
from typing import Any

import pytest

from agent.smsgate import wire
from agent.smsgate.errors import Unreadable
from agent.smsgate.wire import RecipientReport, Report, Sim

ITEM = {"id": "m1", "phoneNumbers": ["+15551234567"], "textMessage": {"text": "x"}}
MOMENT_MS = 1_790_000_000_123


def read(**changes: Any) -> wire.Given:
    (given,) = wire.messages(json.dumps([{**ITEM, **changes}]).encode())
    return given


def test_unknown_fields_and_nulls_do_no_harm() -> None:
    given = read(unheardOf={"of": [1]}, priority=None, validUntil=None, state=None)
    assert (given.id, given.text, given.priority, given.known_state) == ("m1", "x", None, None)


def test_the_older_form_of_a_text() -> None:
    assert read(textMessage=None, message="y").text == "y"
    assert read(textMessage=None).text is None


def test_a_word_that_is_no_state_is_none() -> None:
    assert read(state="Cancelling").known_state == "Cancelling"
    assert read(state="Paused").known_state is None


def test_numbers_may_be_texts() -> None:
    assert read(priority="-128", simNumber="2").sim_number == 2


@pytest.mark.parametrize(
    "change",
    [
        {"priority": 128},
        {"priority": 1.5},
        {"priority": "high"},
        {"simNumber": {}},
        {"withDeliveryReport": "perhaps"},
        {"phoneNumbers": "+15551234567"},
        {"phoneNumbers": []},
        {"id": "x" * 37},
        {"id": None},
        {"dataMessage": {"data": "AQID", "port": 65_536}},
        {"validUntil": "2026-11-22T18:00:00Z"},
        {"validUntil": "2026-11-22T18:00:00.123456Z"},
        {"scheduleAt": "2026-13-22T18:00:00.123Z"},
        {"createdAt": 5},
    ],
)
def test_a_bad_item_spoils_the_list(change: dict[str, Any]) -> None:
    good = json.dumps(ITEM)
    bad = json.dumps({**ITEM, **change})
    with pytest.raises(Unreadable):
        wire.messages(f"[{good},{bad}]".encode())


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[null]", b'["\xff"]'])
def test_no_list_at_all(body: bytes) -> None:
    with pytest.raises(Unreadable):
        wire.messages(body)


def test_webhooks_of_unknown_events() -> None:
    known = {"id": "1", "url": "https://a", "event": "sms:received", "deviceId": None}
    assert [hook.event for hook in wire.hooks(json.dumps([known]).encode())] == ["sms:received"]
    with pytest.raises(Unreadable):
        wire.hooks(json.dumps([known, {**known, "event": "sms:batch:received"}]).encode())


def test_a_registration_needs_its_parts() -> None:
    assert wire.registered(b'{"id":"d","token":"t","login":"l"}').password is None
    with pytest.raises(Unreadable):
        wire.registered(b'{"id":"d","login":"l"}')


@pytest.mark.parametrize(
    ("offset_min", "written"),
    [
        (0, "2026-09-21T14:13:20.123Z"),
        (330, "2026-09-21T19:43:20.123+05:30"),
        (-210, "2026-09-21T10:43:20.123-03:30"),
    ],
)
def test_dates_are_local_with_three_digits(offset_min: int, written: str) -> None:
    assert wire.date(MOMENT_MS, offset_min) == written
    assert wire.unix_ms(written) == MOMENT_MS


def test_a_report_leaves_out_what_is_null() -> None:
    report = Report(
        "m1",
        "Sent",
        [RecipientReport("+1 (555)", "Sent", None), RecipientReport("2", "Failed", "Send result: RESULT_X")],
        {"Pending": MOMENT_MS, "Sent": MOMENT_MS},
    )
    assert json.loads(wire.report_body(report, 0)) == [
        {
            "id": "m1",
            "state": "Sent",
            "recipients": [
                {"phoneNumber": "+1 (555)", "state": "Sent"},
                {"phoneNumber": "2", "state": "Failed", "error": "Send result: RESULT_X"},
            ],
            "states": {"Pending": "2026-09-21T14:13:20.123Z", "Sent": "2026-09-21T14:13:20.123Z"},
        }
    ]


def test_a_device_shows_the_ends_of_its_numbers_only() -> None:
    body = json.loads(wire.device_body([Sim(2, "+15551234567")], None, id="d"))
    assert body == {"id": "d", "simCards": [{"slotIndex": 1, "simNumber": 2, "phoneNumber": "4567"}]}
