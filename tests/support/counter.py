"""Counts what became of sends. Knows only the answers that callers got and the radios' files; reads no table.

    python tests/support/counter.py --answers answers.jsonl ... --radio radio.jsonl ...

A line of answers is {"text", "status", "body"}: status null when no answer came. A line of a radio's file is one send
that it performed. Accepted is what was answered 200 with `result.error` 0: it stands in the radios' files exactly
once and under its id; everything else stands there once or not at all. Prints JSON; exit code 1 if that is not so.
"""

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Count:
    """How many sends ended how, and the texts of those that ended wrongly."""

    accepted: int = 0
    refused: int = 0
    """Got an answer that is no acceptance."""
    broken: int = 0
    """Got no answer."""
    performed: int = 0
    """Lines in the radios' files."""
    performed_unaccepted: int = 0
    """Performed although their caller does not know that they were accepted."""
    lost: list[str] = field(default_factory=list)
    """Accepted and never performed."""
    doubled: list[str] = field(default_factory=list)
    """Performed more than once."""
    other_id: list[str] = field(default_factory=list)
    """Performed under an id that is not the one of the answer."""
    strangers: list[str] = field(default_factory=list)
    """Performed and never asked for: the hashes of their texts."""
    same_text: list[str] = field(default_factory=list)
    """Asked for twice, so that nothing can be said: a fault of the load."""

    @property
    def right(self) -> bool:
        """Whether every send ended as it must."""
        return not (self.lost or self.doubled or self.other_id or self.strangers or self.same_text)


def count(answers: Iterable[dict[str, Any]], performed: Iterable[dict[str, Any]]) -> Count:
    """Compares all answers with all performed sends."""
    result = Count()
    by_text: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in performed:
        result.performed += 1
        by_text[line["text_sha256"]].append(line)
    asked: set[str] = set()
    for answer in answers:
        text = answer["text"]
        hashed = hashlib.sha256(text.encode()).hexdigest()
        if hashed in asked:
            result.same_text.append(text)
        asked.add(hashed)
        sends = by_text.get(hashed, [])
        if len(sends) > 1:
            result.doubled.append(text)
        _judge(result, answer, sends)
    result.strangers = [hashed for hashed in by_text if hashed not in asked]
    return result


def _judge(result: Count, answer: dict[str, Any], sends: list[dict[str, Any]]) -> None:
    accepted = _accepted_id(answer)
    if accepted is None:
        if answer["status"] is None:
            result.broken += 1
        else:
            result.refused += 1
        result.performed_unaccepted += bool(sends)
        return
    result.accepted += 1
    if not sends:
        result.lost.append(answer["text"])
    elif any(send["message_id"] != accepted for send in sends):
        result.other_id.append(answer["text"])


def _accepted_id(answer: dict[str, Any]) -> str | None:
    if answer["status"] != 200:
        return None
    told = json.loads(answer["body"])["result"]
    return str(told["id"]) if told["error"] == 0 else None


def lines(files: Iterable[Path]) -> list[dict[str, Any]]:
    """All whole lines of these files; one that is not there is empty.

    A line may be looked at while it is being written: it counts once its end is there.
    """
    whole = (file.read_bytes().rpartition(b"\n")[0] for file in files if file.exists())
    return [json.loads(line) for content in whole for line in content.splitlines()]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Compares the answers of sends with what the radios performed.")
    parser.add_argument("--answers", nargs="+", type=Path, required=True)
    parser.add_argument("--radio", nargs="+", type=Path, required=True)
    given = parser.parse_args()
    result = count(lines(given.answers), lines(given.radio))
    print(json.dumps({"right": result.right, **asdict(result)}))
    return 0 if result.right else 1


if __name__ == "__main__":
    sys.exit(main())
