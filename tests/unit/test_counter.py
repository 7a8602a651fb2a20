"""The counter of the kill rounds sees each way in which a send can end wrongly."""

import hashlib
import json
from typing import Any

import pytest

from tests.support.counter import count


def accepted(text: str, id: str = "a1") -> dict[str, Any]:
    return {"text": text, "status": 200, "body": json.dumps({"result": {"error": 0, "id": id}})}


def refused(text: str, status: int = 503, error: object = "unavailable") -> dict[str, Any]:
    return {"text": text, "status": status, "body": json.dumps({"result": {"error": error, "id": None}})}


def broken(text: str) -> dict[str, Any]:
    return {"text": text, "status": None, "body": None}


def line(text: str, id: str = "a1") -> dict[str, Any]:
    return {"text_sha256": hashlib.sha256(text.encode()).hexdigest(), "message_id": id}


def test_what_is_right() -> None:
    answers = [accepted("a"), refused("b"), refused("c"), refused("d", 200, 2), broken("e"), broken("f")]
    told = count(answers, [line("a"), line("c"), line("f")])
    assert told.right
    assert (told.accepted, told.refused, told.broken, told.performed, told.performed_unaccepted) == (1, 3, 2, 3, 2)


@pytest.mark.parametrize(
    ("answers", "performed", "fault"),
    [
        ([accepted("a")], [], "lost"),
        ([accepted("a")], [line("a"), line("a")], "doubled"),
        ([refused("a")], [line("a"), line("a")], "doubled"),
        ([broken("a")], [line("a"), line("a", "a2")], "doubled"),
        ([accepted("a")], [line("a", "a2")], "other_id"),
        ([accepted("a")], [line("a"), line("b")], "strangers"),
        ([broken("a"), broken("a")], [], "same_text"),
    ],
)
def test_what_is_wrong(answers: list[dict[str, Any]], performed: list[dict[str, Any]], fault: str) -> None:
    told = count(answers, performed)
    assert not told.right
    assert len(getattr(told, fault)) == 1
