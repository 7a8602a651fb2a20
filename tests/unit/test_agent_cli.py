"""`smsfleet phone`: what it prints and the exit codes that scripts rely on."""

import json
import os
from pathlib import Path

import pytest

from agent.home import PhoneHome
from agent.incoming import Spool
from services.__main__ import main

RECEIVE = ["phone", "receive", "--from", "+15551234567", "hello"]


@pytest.fixture
def phones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of phones of an installation without any."""
    monkeypatch.setenv("SMSFLEET_HOME", str(tmp_path))
    for name in ("SMSFLEET_PHONE_URL", "SMSFLEET_PHONE_ENROLMENT_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "phones").mkdir()
    return tmp_path / "phones"


def add_phone(phones: Path, name: str) -> PhoneHome:
    home = PhoneHome(phones / name)
    home.prepare()
    home.journal.touch()
    return home


def test_a_text_reaches_the_spool_of_the_first_phone(phones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    homes = [add_phone(phones, name) for name in ("phone-10", "phone-2")]
    with homes[0].locked(), homes[1].locked():
        assert main([*RECEIVE, "--sim", "2", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["phone"], done["sim"]) == ("phone-2", 2)
    (arrival,) = Spool(homes[1].incoming).waiting()
    assert (arrival.id, arrival.text, arrival.number) == (done["id"], "hello", "+15551234567")


def test_a_phone_is_chosen_by_name(phones: Path) -> None:
    homes = [add_phone(phones, name) for name in ("phone-1", "kitchen")]
    with homes[0].locked(), homes[1].locked():
        assert main([*RECEIVE, "--name", "kitchen"]) == 0
    assert len(Spool(homes[1].incoming).waiting()) == 1


def test_a_phone_that_is_not_there_or_not_running(phones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(RECEIVE) == 3
    home = add_phone(phones, "phone-1")
    assert main([*RECEIVE, "--json"]) == 3
    assert main([*RECEIVE, "--name", "nobody"]) == 1
    assert Spool(home.incoming).waiting() == []
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"error": "phone-1 is not running"}
    assert len(captured.err.splitlines()) == 2


@pytest.mark.parametrize("arguments", [["phone"], ["phone", "receive", "hello"], [*RECEIVE, "--sim", "3"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_run_needs_an_address(phones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phone", "run"]) == 3
    assert "--url" in capsys.readouterr().err


def test_run_becomes_the_agent_of_this_installation(phones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (phones.parent / "credentials.json").write_text(
        json.dumps({"base_url": "https://sms.example:8443", "enrolment_key": "k"})
    )
    became: list[tuple[list[str], dict[str, str]]] = []

    class Became(Exception):
        pass

    def execve(_: str, arguments: list[str], environment: dict[str, str]) -> None:
        became.append((arguments, environment))
        raise Became

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(Became):
        main(["phone", "run", "--name", "kitchen"])
    ((arguments, environment),) = became
    assert arguments[1:] == ["-m", "agent"]
    assert environment["SMSFLEET_PHONE_URL"] == "wss://sms.example:8443/phone/v1/socket"
    assert environment["SMSFLEET_PHONE_ENROLMENT_KEY"] == "k"
    assert environment["SMSFLEET_PHONE_HOME"] == str(phones / "kitchen")
