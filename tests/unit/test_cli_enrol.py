"""What `smsfleet enrol` says to people, and which wishes it refuses before it makes a key."""

import io
import json
import sys

import pytest

from services.__main__ import FAILED, main
from services.cli.enrol import _instructions

URL, KEY, CA = "https://sms.home.arpa:8443/mobile/v1", "5f" * 32, "http://sms.home.arpa:8444/"
CORNER = "\u2584" * 5
"""The top of the square in a QR code's corner."""


def told(monkeypatch: pytest.MonkeyPatch, url: str = URL, ca: str = CA, encoding: str = "utf-8") -> str:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    return _instructions(url, KEY, ca)


def test_the_values_come_first_and_the_certificate_before_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch)
    assert [line.split()[-1] for line in text.splitlines()[:2]] == [URL, KEY]
    steps = [line for line in text.splitlines() if line[:3] == "  " + line[2:3] and line[2:3].isdigit()]
    assert CA in steps[0]
    assert "https only" not in text
    for words in ("SSE only", "Android 15", "Allow restricted settings", "Unrestricted", "Sign up"):
        assert words in text
    assert text.count(CORNER) >= 3 * 2


def test_without_a_certificate_of_ours_there_is_no_step_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, "http://127.0.0.1:8080/mobile/v1", "")
    assert "root certificate" not in text.lower()
    assert "https only: `make up TLS=1`" in text


def test_a_terminal_that_cannot_show_codes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, encoding="ascii")
    assert text.isascii()
    assert text.count("shows no QR code") == 3


@pytest.mark.parametrize(
    "words",
    [("--no-wait", "--test", "+1555"), ("--no-wait", "--name", "n"), ("--name", "n" * 65), ("--wait-s", "0")],
)
def test_wishes_that_cannot_be_met_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enrol", "--json", *words]) == FAILED
    assert json.loads(capsys.readouterr().out)["code"] == "invalid"
