"""`smsfleet phone run --protocol smsgate` and the settings that it hands to the agent."""

import json
import os
from pathlib import Path

import pytest

from agent.errors import SettingsError
from agent.settings import Settings
from services.__main__ import main


class Became(Exception):
    def __init__(self, _: str, arguments: list[str], environment: dict[str, str]) -> None:
        self.arguments = arguments
        self.environment = environment


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation behind TLS, in whose place no process starts."""

    def execve(program: str, arguments: list[str], environment: dict[str, str]) -> None:
        raise Became(program, arguments, environment)

    monkeypatch.setenv("SMSFLEET_HOME", str(tmp_path))
    for name in ("SMSFLEET_PHONE_URL", "SMSFLEET_PHONE_ENROLMENT_KEY", "SMSFLEET_PHONE_PROTOCOL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "execve", execve)
    known = {"base_url": "https://sms.example:8443", "enrolment_key": "k"}
    (tmp_path / "credentials.json").write_text(json.dumps(known))
    return tmp_path


def settings(*arguments: str) -> Settings:
    with pytest.raises(Became) as became:
        main(["phone", "run", "--name", "kitchen", *arguments])
    return Settings.from_env(became.value.environment)


def test_it_finds_this_installation(installation: Path) -> None:
    found = settings("--protocol", "smsgate")
    assert (found.protocol, found.url, found.enrolment_key) == ("smsgate", "https://sms.example:8443/mobile/v1", "k")
    assert found.home == installation / "phones" / "kitchen"
    assert settings().protocol == "socket"


def test_it_takes_another_url_and_key(installation: Path) -> None:
    found = settings("--protocol", "smsgate", "--url", "http://127.0.0.1:1/mobile/v1/", "--key", "other")
    assert (found.url, found.enrolment_key) == ("http://127.0.0.1:1/mobile/v1/", "other")


def test_the_protocol_may_come_from_outside(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSFLEET_PHONE_PROTOCOL", "smsgate")
    assert settings().url == "https://sms.example:8443/mobile/v1"


@pytest.mark.parametrize(
    ("protocol", "url", "named"),
    [
        ("smsgate", "wss://sms.example/phone/v1/socket", "SMSFLEET_PHONE_URL"),
        ("socket", "https://sms.example/mobile/v1", "SMSFLEET_PHONE_URL"),
        ("pigeon", "https://sms.example/mobile/v1", "SMSFLEET_PHONE_PROTOCOL"),
    ],
)
def test_wrong_words_are_named(protocol: str, url: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings.from_env({"SMSFLEET_PHONE_PROTOCOL": protocol, "SMSFLEET_PHONE_URL": url})
