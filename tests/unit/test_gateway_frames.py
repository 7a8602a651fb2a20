"""What the gateway makes of what phones say."""

from typing import Any

import pytest

from services.gateway.phones import frames
from services.gateway.phones.farewell import Farewell
from shared.contracts import phone
from shared.model.ids import MessageId, attempt_id

NOW = 1_774_040_864.0
MESSAGE = MessageId(bytes(range(20)))


def text(**changes: Any) -> phone.ReceivedText:
    fields: dict[str, Any] = {"id": "1", "sim": 1, "number": "+1555", "text": "hi", "at_ms": int(NOW * 1000)}
    return phone.ReceivedText(**(fields | changes))


def hello(**changes: Any) -> phone.Hello:
    fields: dict[str, Any] = {"version": 1, "journal": "j", "name": "n", "sims": [phone.Sim(slot=1)], "token": "t"}
    return phone.Hello(**(fields | changes))


def test_reports_name_attempts_of_ours_only() -> None:
    frame = phone.Report(
        seq=1,
        reports=[
            phone.AttemptReport(
                attempt=attempt_id(MESSAGE, 3), state="failed", at_ms=int(NOW * 1000), reason="x" * 500
            ),
            phone.AttemptReport(attempt="nonsense", state="sent", at_ms=1),
        ],
    )
    (found,) = frames.attempts_reported(7, "d", frame, NOW)
    assert (found.account, found.device, found.message, found.number, found.state, found.at) == (
        7,
        "d",
        MESSAGE,
        3,
        "failed",
        NOW,
    )
    assert found.reason == "x" * 100


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        (int(NOW * 1000) + 500, NOW + 0.5),
        (0, NOW),
        (-(10**30), NOW),
        (10**30, NOW),
        (int((NOW + 90_000) * 1000), NOW),
        (946_684_800_000, 946_684_800.0),
    ],
)
def test_absurd_times_are_now(at_ms: int, expected: float) -> None:
    assert frames.instant(at_ms, NOW) == expected


def test_texts_are_cleaned_rather_than_lost() -> None:
    frame = phone.Received(
        seq=1,
        texts=[text(text="a\0b", sim=99, utc_offset_min=10**9, number="\0" + "9" * 500), text(text="x" * 50_000)],
    )
    first, second = frames.texts_received(7, "d", frame, NOW)
    assert (first.text, first.sim, first.utc_offset_min) == ("a\ufffdb", None, 1440)
    assert first.number == "\ufffd" + "9" * 99
    assert len(second.text) == 40_000
    assert frames.clean("a\ud800b") == "a\ufffd\ufffd\ufffdb"


def test_a_fingerprint_is_the_texts_own() -> None:
    same = frames.fingerprint(text())
    assert len(same) == 32
    assert frames.fingerprint(text(sim=2, utc_offset_min=60)) == same
    others = [text(id="2"), text(number="+155"), text(at_ms=1), text(text="hi!"), text(id="1+", number="1555")]
    assert len({same, *(frames.fingerprint(other) for other in others)}) == 6


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (phone.Ping(n=1), "bad_frame"),
        (hello(version=2), "bad_version"),
        (hello(token=None), "bad_frame"),
        (hello(enrolment_key="k"), "bad_frame"),
        (hello(sims=[phone.Sim(slot=0)]), "bad_frame"),
        (hello(sims=[phone.Sim(slot=1), phone.Sim(slot=1)]), "bad_frame"),
        (hello(journal=""), "bad_frame"),
        (hello(channels=["sms"] * 9), "bad_frame"),
    ],
)
def test_greetings_that_are_refused(frame: phone.FromPhone, code: str) -> None:
    with pytest.raises(Farewell) as error:
        frames.greeting(frame)
    assert error.value.bye.code == code


def test_a_greeting_is_cleaned() -> None:
    found = frames.greeting(hello(name="n\0" * 200, sims=[phone.Sim(slot=1, number="\0", carrier="c" * 200)]))
    assert found.name == ("n\ufffd" * 200)[:100]
    assert found.sims == [phone.Sim(slot=1, number="\ufffd", carrier="c" * 100)]


@pytest.mark.parametrize(
    "frame",
    [
        phone.Ready(places={}, held=["x"] * 257),
        phone.Ready(places=dict.fromkeys(range(9), 1)),
        phone.Take(seq=1, attempts=["x"] * 257),
        phone.Report(seq=1, reports=[phone.AttemptReport(attempt="x", state="sent", at_ms=1)] * 257),
        phone.Received(seq=1, texts=[text()] * 257),
        hello(),
    ],
)
def test_frames_that_hold_too_much(frame: phone.FromPhone) -> None:
    with pytest.raises(Farewell):
        frames.check(frame)


def test_a_frame_at_its_limit() -> None:
    frames.check(phone.Take(seq=1, attempts=["x"] * 256))
    frames.check(phone.Pong(n=1))
