"""The classic body to the byte."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest

from services.webhooks.formats import ReceivedSms, classic

CAPTURED = ReceivedSms(
    guid=UUID("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"),
    number="+15551234567",
    text='Grüße "€" \n😀',
    received_at=datetime(2026, 3, 27, 9, 22, 54, 316_999, UTC),
    utc_offset_min=480,
    stored_at=datetime(2026, 3, 27, 9, 23, 2, 5, UTC),
)


def test_it_is_six_strings_in_order_as_compact_json() -> None:
    body = classic(CAPTURED)
    assert body.decode() == (
        '{"date":"2026-03-27","hour":"09:23:02","time_received":"20260327172254316",'
        '"message":"Grüße \\"€\\" \\n😀","number":"15551234567","guid":"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D"}'
    )


def test_times_are_told_in_utc_and_by_the_phone_whatever_zone_they_come_in() -> None:
    moved = CAPTURED.stored_at.astimezone(timezone(timedelta(hours=-7)))
    assert classic(msgspec.structs.replace(CAPTURED, stored_at=moved)) == classic(CAPTURED)


@pytest.mark.parametrize(
    ("offset", "told"),
    [(0, "20260327092254316"), (-570, "20260326235254316"), (840, "20260327232254316")],
)
def test_the_phone_s_local_time_may_be_another_day(offset: int, told: str) -> None:
    body = json.loads(classic(msgspec.structs.replace(CAPTURED, utc_offset_min=offset)))
    assert body["time_received"] == told


def test_a_sender_without_a_number_stays_as_it_is() -> None:
    assert json.loads(classic(msgspec.structs.replace(CAPTURED, number="MyBank")))["number"] == "MyBank"
