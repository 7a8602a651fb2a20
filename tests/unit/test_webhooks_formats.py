"""The bodies to the byte: the classic form as it was captured, V2 as the contract has it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest

from services.webhooks.examples import EXAMPLES
from services.webhooks.formats import (
    ALL_TYPES,
    DEFAULT_V2_TYPES,
    NEVER_MADE,
    OWN_TYPES,
    AttemptFacts,
    EventFacts,
    InboxFacts,
    MessageFacts,
    classic_body,
    type_on_channel,
    v2_body,
)
from shared.contracts.rpc.webhooks import ClassicSettings

CAPTURED = InboxFacts(
    guid=UUID("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"),
    number="+15551234567",
    text='Grüße "€" \n😀',
    received_at=datetime(2026, 3, 27, 9, 22, 54, 316_999, UTC),
    utc_offset_min=480,
    stored_at=datetime(2026, 3, 27, 9, 23, 2, 5, UTC),
    device_id="V1StGXR8_Z5jdHi6B-myT",
    device_name="Pixel 8",
    sim=2,
)
MESSAGE = MessageFacts(
    guid="ab" * 20, number="+32471234567", text="hi", client_ref="order-1", device_id="wanted", sim=1
)
TRIED = replace(MESSAGE, attempt=AttemptFacts(number=2, device_id="tried", sim=2, reason="no_service"))


def told(type: str, message: MessageFacts) -> dict[str, object]:
    at = datetime(2026, 3, 27, 9, 22, 54, tzinfo=timezone(timedelta(hours=2)))
    event = EventFacts(id=CAPTURED.guid, type=type, occurred_at=at, created_at=at, about=message)
    data: dict[str, object] = json.loads(v2_body(event))["data"]
    return data


# Classic -------------------------------------------------------------------------------------------------------


def test_it_is_six_strings_in_order_as_compact_json() -> None:
    body = classic_body(CAPTURED)
    assert body.decode() == (
        '{"date":"2026-03-27","hour":"09:23:02","time_received":"20260327172254316",'
        '"message":"Grüße \\"€\\" \\n😀","number":"15551234567","guid":"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D"}'
    )


def test_times_are_told_in_utc_and_by_the_phone_whatever_zone_they_come_in() -> None:
    moved = CAPTURED.stored_at.astimezone(timezone(timedelta(hours=-7)))
    assert classic_body(replace(CAPTURED, stored_at=moved)) == classic_body(CAPTURED)


@pytest.mark.parametrize(
    ("offset", "told"),
    [(0, "20260327092254316"), (-570, "20260326235254316"), (840, "20260327232254316")],
)
def test_the_phone_s_local_time_may_be_another_day(offset: int, told: str) -> None:
    body = json.loads(classic_body(replace(CAPTURED, utc_offset_min=offset)))
    assert body["time_received"] == told


def test_a_sender_without_a_number_stays_as_it_is() -> None:
    assert json.loads(classic_body(replace(CAPTURED, number="MyBank")))["number"] == "MyBank"


def test_an_endpoint_may_want_the_form_of_the_documentation() -> None:
    documented = ClassicSettings(number_format="plus", time_format="text")
    body = json.loads(classic_body(CAPTURED, documented))
    assert (body["number"], body["time_received"]) == ("+15551234567", "2026-03-27 17:22:54")
    assert (body["date"], body["hour"]) == ("2026-03-27", "09:23:02")


def test_an_endpoint_s_time_zone_holds_for_all_three_times() -> None:
    body = json.loads(classic_body(CAPTURED, ClassicSettings(time_zone="America/New_York")))
    assert (body["date"], body["hour"], body["time_received"]) == ("2026-03-27", "05:23:02", "20260327052254316")


# V2 ------------------------------------------------------------------------------------------------------------


def test_a_received_text_to_the_byte() -> None:
    event = EventFacts(
        id=UUID("0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D"),
        type="sms.received",
        occurred_at=CAPTURED.received_at,
        created_at=CAPTURED.stored_at,
        about=CAPTURED,
    )
    assert v2_body(event).decode() == (
        '{"id":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","type":"sms.received","api_version":"2026-09-22",'
        '"created_at":"2026-03-27T09:23:02Z","occurred_at":"2026-03-27T09:22:54Z","data":{'
        '"guid":"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D","from":"+15551234567","message":"Grüße \\"€\\" \\n😀",'
        '"received_at":"2026-03-27T09:22:54Z","alias":"Pixel 8","device_id":"V1StGXR8_Z5jdHi6B-myT","sim":2}}'
    )


def test_every_type_that_is_made_has_an_example_with_its_own_id() -> None:
    assert set(EXAMPLES) == set(ALL_TYPES) - NEVER_MADE
    assert len({example.id for example in EXAMPLES.values()}) == len(EXAMPLES)
    for type, example in EXAMPLES.items():
        event = json.loads(v2_body(example))
        assert list(event) == ["id", "type", "api_version", "created_at", "occurred_at", "data"]
        assert (event["type"], event["api_version"]) == (type, "2026-09-22")
        assert event["data"]


def test_ours_are_not_among_what_an_endpoint_gets_unasked() -> None:
    assert set(DEFAULT_V2_TYPES).isdisjoint(OWN_TYPES)
    assert len(set(ALL_TYPES)) == len(ALL_TYPES)


@pytest.mark.parametrize(
    ("type", "time"),
    [
        ("sms.api.submitted", "submitted_at"), ("sms.sent", "sent_at"), ("sms.delivered", "delivered_at"),
        ("sms.failed", "failed_at"), ("sms.mobile.sent", "sent_at"), ("whatsapp.submitted", "submitted_at"),
        ("whatsapp.delivered", "delivered_at"),
    ],
)  # fmt: skip
def test_a_message_s_event_says_when_it_happened_in_utc(type: str, time: str) -> None:
    data = told(type, MESSAGE)
    assert data[time] == "2026-03-27T07:22:54Z"
    assert [name for name in data if name.endswith("_at")] == [time]
    assert (data["guid"], data["to"], data["message"], data["client_ref"]) == (
        "ab" * 20,
        "+32471234567",
        "hi",
        "order-1",
    )


def test_the_phone_is_the_attempt_s_and_before_it_the_wanted_one() -> None:
    assert (told("sms.sent", TRIED)["device_id"], told("sms.sent", TRIED)["sim"]) == ("tried", 2)
    assert (told("sms.api.submitted", MESSAGE)["device_id"], told("sms.api.submitted", MESSAGE)["sim"]) == ("wanted", 1)


def test_only_a_failure_has_an_error() -> None:
    assert told("sms.failed", TRIED)["error"] == "no_service"
    assert told("sms.failed", replace(MESSAGE, reason="rejected"))["error"] == "rejected"
    assert told("whatsapp.failed", MESSAGE)["error"] == "unknown"
    assert "error" not in told("sms.sent", TRIED)


@pytest.mark.parametrize(
    ("type", "channel", "public"),
    [
        ("sms.sent", "sms", "sms.sent"), ("sms.api.submitted", "sms", "sms.api.submitted"),
        ("sms.sent", "whatsapp", "whatsapp.sent"), ("sms.api.submitted", "whatsapp", "whatsapp.submitted"),
        ("sms.delivered", "whatsapp", "whatsapp.delivered"), ("sms.failed", "whatsapp", "whatsapp.failed"),
    ],
)  # fmt: skip
def test_whatsapp_has_types_of_its_own(type: str, channel: str, public: str) -> None:
    assert type_on_channel(type, channel) == public


def test_the_documentation_shows_what_is_sent() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    received = EXAMPLES["sms.received"]
    assert isinstance(received.about, InboxFacts)
    assert f"\n{v2_body(received).decode()}\n" in page
    assert f"\n{classic_body(received.about).decode()}\n" in page
    fields = {name for event in EXAMPLES.values() for name in json.loads(v2_body(event))["data"]}
    assert [name for name in (*ALL_TYPES, *fields) if f"`{name}`" not in page] == []
