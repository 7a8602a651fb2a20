"""The pure parts of the app's phone: schedules, states, signature, settings, the stream's events."""

from collections.abc import AsyncIterator
from typing import get_args

import pytest

from agent.smsgate import signature, states
from agent.smsgate.backoff import background_s, reconnect_s, webhook_s
from agent.smsgate.channel import Event, events
from agent.smsgate.errors import Unreadable
from agent.smsgate.facts import MOVES, State
from agent.smsgate.preferences import Preferences, decode, encode, merged


def test_background_work_waits_twice_as_long_each_time() -> None:
    assert [background_s(n) for n in (1, 2, 3, 4)] == [10, 20, 40, 80]
    assert background_s(11) == 10_240
    assert background_s(12) == background_s(100_000) == 5 * 3600


def test_the_channel_comes_back_in_three_steps() -> None:
    waits = [reconnect_s(n) for n in range(1, 13)]
    assert waits == [5] * 5 + [30] * 5 + [60] * 2
    assert reconnect_s(1_000_000) == 60


def test_a_webhook_is_called_for_about_two_days() -> None:
    waits = [webhook_s(n) for n in range(1, 15)]
    assert waits[:3] == [10, 20, 40]
    assert 1.5 < sum(waits) / 86_400 < 2.5


def test_every_state_has_its_moves_and_the_last_ones_have_none() -> None:
    assert set(MOVES) == set(get_args(State))
    assert [state for state, follow in MOVES.items() if not follow] == ["Delivered", "Failed", "Cancelled"]


@pytest.mark.parametrize(
    ("old", "new", "may"),
    [
        ("Pending", "Processed", True),
        ("Pending", "Cancelled", True),
        ("Processed", "Cancelled", False),
        ("Delivered", "Sent", False),
        ("Sent", "Failed", True),
        ("Failed", "Failed", False),
    ],
)
def test_moves(old: State, new: State, may: bool) -> None:
    assert states.may_follow(old, new) is may


@pytest.mark.parametrize(
    ("recipients", "whole"),
    [
        (["Delivered", "Pending"], "Pending"),
        (["Delivered", "Cancelled", "Processed"], "Cancelled"),
        (["Failed", "Processed"], "Processed"),
        (["Failed", "Failed"], "Failed"),
        (["Delivered", "Delivered"], "Delivered"),
        (["Delivered", "Failed"], "Sent"),
        (["Sent"], "Sent"),
    ],
)
def test_the_state_of_a_message(recipients: list[State], whole: State) -> None:
    assert states.of_message(recipients) == whole


def test_the_signature() -> None:
    # Computed with openssl: printf '{"a":1}1700000000' | openssl dgst -sha256 -hmac secret
    assert signature.headers("secret", b'{"a":1}', 1_700_000_000) == {
        "X-Timestamp": "1700000000",
        "X-Signature": "5bfb71b792ec829c706a4d9bf7e6cb063d5abc4336963b9ecdb01288e5befb5b",
    }


def test_no_settings_change_nothing() -> None:
    assert merged(Preferences(), b"{}") == Preferences()


def test_a_section_is_merged_key_by_key() -> None:
    once = merged(Preferences(), b'{"messages":{"limit_period":"PerHour","limit_value":"30"},"camera":[1]}')
    assert (once.messages.limit_period, once.messages.limit_value) == ("PerHour", 30)
    twice = merged(once, b'{"messages":{"limit_value":null,"new_key":1}}')
    assert (twice.messages.limit_period, twice.messages.limit_value) == ("PerHour", None)
    assert decode(encode(twice)) == twice


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"null",
        b'{"messages":[]}',
        b'{"messages":null}',
        b'{"messages":{"processing_order":"RANDOM"}}',
        b'{"ping":{"interval_seconds":"often"}}',
        b'{"gateway":{"cloud_url":"http://sms.example/mobile/v1"}}',
        b'{"webhooks":{"signing_key":"\xff"}}',
    ],
)
def test_settings_that_the_app_throws_at(answer: bytes) -> None:
    with pytest.raises(Unreadable):
        merged(Preferences(), answer)


async def heard(*lines: bytes) -> list[Event]:
    async def stream() -> AsyncIterator[bytes]:
        for line in lines:
            yield line

    return [event async for event in events(stream())]


async def test_events_of_a_stream() -> None:
    assert await heard(b":keepalive\n", b"\n") == []
    assert await heard(b"event: MessageEnqueued\n", b"data: null\n", b"\n") == [Event("MessageEnqueued", "null")]
    assert await heard(b"data:null\r\n", b"\r\n") == [Event("MessageEnqueued", "null")]
    assert await heard(b"event: SettingsUpdated\n", b"\n", b"data: 1\n", b"\n") == [Event("MessageEnqueued", "1")]
    assert await heard(b"data: {\n", b"data: }\n", b"id: 7\n", b"odd\n", b"\n") == [Event("MessageEnqueued", "{\n}")]
    assert await heard(b"event: MessageEnqueued\n", b"data: null\n") == []
