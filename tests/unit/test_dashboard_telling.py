"""A message's story in words: every reason has its sentence, and only what can be done is offered."""

from dataclasses import dataclass
from typing import Any, get_args

import pytest

from services.dispatcher.states import MessageState
from services.gateway.dashboard.frame.languages import load
from services.gateway.dashboard.messages.telling import REASONS, lines, options, seen, waiting
from services.gateway.phones.smsgate import outcomes
from services.gateway.store import SentRow
from shared.contracts.rpc.messages import Change, MessageStory, Wait

WORDS = load()["en"]


def row(state: str, live: str | None = None, reason: str | None = None) -> SentRow:
    known: dict[str, Any] = dict.fromkeys(SentRow._fields) | {"state": state, "live_state": live, "reason": reason}
    return SentRow(**known)


def story(*changes: Change, **more: Any) -> MessageStory:
    facts: dict[str, Any] = {
        "id": "0" * 40, "account": 1, "state": "queued", "reason": None, "recipient": "+1", "parts": 1,
        "encoding": "gsm7", "priority": 0, "accepted_at": 1.0, "scheduled_at": 1.0, "valid_until": 9.0,
        "device": None, "sim": None, "changes": list(changes), "waiting": None,
    }  # fmt: skip
    return MessageStory(**(facts | more))


def change(state: str, detail: str | None = None, attempt: int = 1) -> Change:
    return Change(number=1, at=1.0, state=state, attempt=attempt, device="d", sim=1, detail=detail)


def test_every_word_that_can_be_told_has_a_sentence() -> None:
    told = {"accepted", *get_args(MessageState)}
    assert {f"messages.change.{state}" for state in told} <= set(WORDS)
    assert {f"messages.wait.{word}" for word in (*get_args(Wait), "retry")} <= set(WORDS)
    assert {f"messages.reason.{word}" for word in (*REASONS.values(), "other")} <= set(WORDS)
    assert {f"messages.route.{word}" for word in ("pinned", "contact", "shortest_wait", "any")} <= set(WORDS)


def test_every_reason_of_the_app_has_its_own_sentence() -> None:
    errors = [f"Send result: RESULT_ERROR_{name}" for name in outcomes._RESULTS]
    errors += ["TTL expired", "Delivery result: x", "No SIMs found", "permission", "Invalid address", "x"]
    assert {outcomes.reason(error, sent=sent) for error in errors for sent in (True, False)} <= REASONS.keys()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (change("failed", "no_service"), "no_service"),
        (change("unknown", "new journal"), "new_journal"),
        (change("unknown", "device removed"), "removed_while_sending"),
        (change("failed", "device_removed"), "device_removed"),
        (change("expired"), "expired_here"),
        (change("canceled", "expired"), "expired_on_phone"),
        (change("canceled"), "canceled_here"),
        (change("failed", "new in a later version"), "other"),
        (change("sent"), ""),
    ],
)
def test_the_reason_of_a_change(told: Change, reason: str) -> None:
    (line,) = lines(story(told))
    assert line.reason == reason
    assert not reason or f"messages.reason.{reason}" in WORDS


def test_what_could_not_be_stored_says_so_without_the_databases_words() -> None:
    (line,) = lines(story(change("failed", 'null value in column "x"', attempt=0), reason="rejected"))
    assert line.reason == "rejected"


def test_a_rest_between_two_tries_is_no_schedule() -> None:
    assert waiting(story(), 5.0) is None
    assert [found and found.word for found in (
        waiting(story(wait="not_due", scheduled_at=9.0), 5.0), waiting(story(wait="not_due"), 5.0),
        waiting(story(wait="behind", ahead=7), 5.0),
    )] == ["not_due", "retry", "behind"]  # fmt: skip


@dataclass
class Case:
    row: SentRow
    seen: str
    protocol: str | None
    offered: set[str]


@pytest.mark.parametrize(
    "case",
    [
        Case(row("scheduled", "later"), "scheduled", None, {"cancel"}),
        Case(row("queued", "ready"), "queued", None, {"cancel"}),
        Case(row("queued", "leased"), "queued", "socket", {"cancel"}),
        Case(row("queued", "taken"), "queued", "socket", set()),
        Case(row("queued", "taken"), "queued", "smsgate", {"cancel", "wish"}),
        Case(row("unknown", "taken"), "unknown", "smsgate", {"force"}),
        Case(row("unknown"), "unknown", None, {"force"}),
        Case(row("failed"), "failed", None, {"resend"}),
        Case(row("failed", reason="rejected"), "failed", None, set()),
        Case(row("expired"), "expired", None, {"resend"}),
        Case(row("canceled"), "canceled", None, {"resend"}),
        Case(row("sent"), "sent", None, set()),
        Case(row("delivered"), "delivered", None, set()),
    ],
)
def test_what_can_be_done(case: Case) -> None:
    assert seen(case.row) == case.seen
    found = options(case.row, case.protocol)._asdict()
    assert {name for name, yes in found.items() if yes} == case.offered
