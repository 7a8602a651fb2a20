"""The agent's small parts: settings, back-off, ids, the folder and its lock."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.backoff import Backoff
from agent.errors import SettingsError
from agent.home import HomeBusy, PhoneHome
from agent.ids import message_of
from agent.settings import Settings
from shared.model.ids import MessageId, attempt_id

URL = "ws://127.0.0.1:8080/phone/v1/socket"


def test_settings_have_the_documented_defaults() -> None:
    settings = Settings.from_env({"SMSFLEET_PHONE_URL": URL})
    assert settings.url == URL
    assert settings.enrolment_key is None
    assert settings.home == Path(".smsfleet/phones/phone-1")
    assert (settings.delay_ms, settings.delivery_ms, settings.failure_rate) == (20, 100, 0)
    assert settings.channels == ("sms",)


def test_settings_are_read_and_the_key_is_not_shown() -> None:
    settings = Settings.from_env(
        {
            "SMSFLEET_PHONE_URL": "wss://sms.example/phone/v1/socket",
            "SMSFLEET_PHONE_ENROLMENT_KEY": "s3cret",
            "SMSFLEET_PHONE_HOME": "/somewhere",
            "SMSFLEET_PHONE_NAME": "kitchen",
            "SMSFLEET_PHONE_FAILURE_RATE": "0.25",
            "SMSFLEET_PHONE_CHANNELS": "sms, whatsapp,sms",
            "SMSFLEET_LOG_LEVEL": "debug",
        }
    )
    assert (settings.name, settings.failure_rate, settings.home) == ("kitchen", 0.25, Path("/somewhere"))
    assert settings.channels == ("sms", "whatsapp")
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMSFLEET_PHONE_URL", ""),
        ("SMSFLEET_PHONE_URL", "http://127.0.0.1/phone/v1/socket"),
        ("SMSFLEET_PHONE_URL", "ws://"),
        ("SMSFLEET_PHONE_URL", "ws://host:99999/"),
        ("SMSFLEET_PHONE_DELAY_MS", "-1"),
        ("SMSFLEET_PHONE_DELAY_MS", "soon"),
        ("SMSFLEET_PHONE_DELIVERY_MS", "nan"),
        ("SMSFLEET_PHONE_FAILURE_RATE", "1.5"),
        ("SMSFLEET_PHONE_CHANNELS", "fax"),
        ("SMSFLEET_PHONE_CHANNELS", ","),
        ("SMSFLEET_LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({"SMSFLEET_PHONE_URL": URL, name: value})


def test_backoff_doubles_its_bound_up_to_the_cap() -> None:
    backoff = Backoff(0.2, 30, lambda _, high: high)
    assert [backoff.next_s() for _ in range(9)] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30])
    backoff.reset()
    assert backoff.next_s() == pytest.approx(0.2)


def test_backoff_draws_from_the_whole_range() -> None:
    backoff = Backoff(8, 8, random.Random(1).uniform)
    waits = [backoff.next_s() for _ in range(200)]
    assert min(waits) < 1
    assert max(waits) > 7


@given(st.binary(min_size=20, max_size=20), st.integers(1, 255))
def test_the_message_is_read_out_of_the_attempt(message: bytes, number: int) -> None:
    assert message_of(attempt_id(MessageId(message), number)) == message.hex()


@pytest.mark.parametrize("text", ["", "a" * 33, "1" * 34, "é" * 34])
def test_what_is_no_attempt_id_has_no_message(text: str) -> None:
    assert message_of(text) is None


def test_a_folder_belongs_to_one_agent(tmp_path: Path) -> None:
    home = PhoneHome(tmp_path / "phone")
    assert not home.is_running()
    home.prepare()
    with home.locked():
        assert home.is_running()
        with pytest.raises(HomeBusy, match="already"), PhoneHome(home.folder).locked():
            pass
    assert not home.is_running()
    assert home.folder.stat().st_mode & 0o777 == 0o700


def test_connected_is_shown_and_a_dead_agents_trace_removed(tmp_path: Path) -> None:
    home = PhoneHome(tmp_path / "phone")
    home.prepare()
    home.say_connected("d" * 21, 7)
    assert json.loads(home.connected.read_text())["session"] == 7
    with home.locked():
        assert not home.connected.exists()
        home.say_disconnected()
