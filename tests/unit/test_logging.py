"""No log line holds a phone number, a text, a query string or a capability, wherever it was logged."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from shared.runtime.logging import MASK, configure_logging, mask, masked

GUID = "0190a1b2c3d4e5f60718293a4b5c6d7e8f901234"
DEVICE = "aZ3-1234567_9012345x9"
NUMBERS = [
    "+15551230042",
    "15551230042",
    "0475123042",
    "+32 475 12 30 42",
    "+1 (555) 123-0042",
    "%2B15551230042",
    "%2b15551230042",
    "+441632960042",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "frame", ["{}", "sent to {}.", "number='{}'", "({}, 1)", "first {} second", "to={};", "tel:{},"]
)
def test_a_number_keeps_its_last_four_characters_only(number: str, frame: str) -> None:
    shown = masked(frame.format(number))
    digits = "".join(letter for letter in number.replace("%2B", "").replace("%2b", "") if letter.isdigit())
    assert MASK in shown
    assert digits[:-4] not in "".join(letter for letter in shown if letter.isdigit())
    assert shown.startswith(frame.partition("{}")[0])
    assert shown.endswith(frame.partition("{}")[2])


@pytest.mark.parametrize(
    "kept",
    [
        GUID,
        "1" * 40,
        DEVICE,
        "12345678-1234-4234-8234-123456789012",
        "7fa1b2c3" * 6,
        "<Task at 0x7f8a12345678>",
        "127.0.0.1:54321",
        "port 8080",
        "2026-11-22T19:02:24.123456Z",
        "after 12.3456789 s",
        "envelope of 123456 bytes",
        "/v1/webhooks/{id}",
        "really?",
    ],
)
def test_what_is_no_number_stays(kept: str) -> None:
    assert masked(kept) == kept


def test_a_query_string_goes_whole() -> None:
    shown = masked('"GET /sendsms/?apikey=abcdef&recipients=%2B1555&message=hi+there HTTP/1.1" 200')
    assert shown == f'"GET /sendsms/?{MASK} HTTP/1.1" 200'


def test_a_capability_becomes_its_template() -> None:
    assert masked("POST /device-in/v1/AAAAB3Nz_-aC1= done") == "POST /device-in/v1/{capability} done"
    assert masked("/device-in/v1/{capability}") == "/device-in/v1/{capability}"


def test_what_a_database_quotes_goes() -> None:
    assert masked("DataError: invalid input for query argument $3: 'my\nsecret' (too long)").endswith(f"$3: {MASK}")
    shown = masked("IntegrityError: failing row\nDETAIL:  Failing row contains (hello world).\nCONTEXT: x")
    assert "hello" not in shown
    assert shown.endswith("CONTEXT: x")


def test_every_field_is_masked_however_deep() -> None:
    event = {
        "event": "odd call from +15551230042",
        "timestamp": "2026-11-22T19:02:24.123456Z",
        "guid": GUID,
        "pid": 1234567,
        "text": "dinner at eight",
        "error": ValueError("+15551230042"),
        "more": {"recipients": ["+15551230042"], "+15551230042": ("15551230042", None, True)},
    }
    shown = mask(None, "info", dict(event))
    assert (shown["timestamp"], shown["guid"], shown["pid"]) == (event["timestamp"], GUID, 1234567)
    assert "1555123" not in repr(shown)
    assert "dinner" not in repr(shown)
    assert json.loads(json.dumps(shown))["more"]["recipients"] == MASK


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The logging of a service, and the lines that it wrote; afterwards all is as it was."""
    lines: list[str] = []

    class Stream:
        def write(self, line: str) -> None:
            lines.append(line)

        def flush(self) -> None:
            pass

    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", Stream())
    configure_logging("gateway", "info")
    try:
        yield lines
    finally:
        structlog.contextvars.clear_contextvars()
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)


def _told(lines: list[str]) -> dict[str, object]:
    (line,) = [line for line in "".join(lines).split("\n") if line]
    told: dict[str, object] = json.loads(line)
    return told


def test_our_own_lines_are_json_and_masked(configured: list[str]) -> None:
    structlog.get_logger().info("message refused", guid=GUID, reason="no phone for +15551230042")
    told = _told(configured)
    assert (told["event"], told["service"], told["level"]) == ("message refused", "gateway", "info")
    assert (told["guid"], told["reason"]) == (GUID, f"no phone for {MASK}0042")


def test_so_are_those_of_libraries(configured: list[str]) -> None:
    logging.getLogger("uvicorn.error").warning('"WebSocket %s" [accepted]', "/phone/v1/socket?token=abc&n=15551230042")
    assert _told(configured)["event"] == f'"WebSocket /phone/v1/socket?{MASK}" [accepted]'


def test_so_are_stack_traces(configured: list[str]) -> None:
    number = "+15551230042"
    try:
        raise ValueError(f"cannot call {number}")
    except ValueError:
        structlog.get_logger().exception("failed")
    told = _told(configured)
    assert "ValueError: cannot call ***0042" in str(told["exception"])
    assert "1555123" not in "".join(configured)
