"""What goes into the phone's memory and comes out of it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from agent.smsgate.facts import State

JobKind = Literal["report", "call"]
Kind = Literal["text", "data", "encrypted"]


class New(NamedTuple):
    """A message to keep; `content` is its text in UTF-8 or the bytes of a data SMS."""

    id: str
    numbers: Sequence[str]
    content: bytes
    kind: Kind
    sim: int | None
    wants_delivery: bool
    valid_until_ms: int | None
    due_ms: int
    priority: int
    state: State


class Waiting(NamedTuple):
    """A message that is to be sent now, to the recipients that are still to get it."""

    id: str
    numbers: Sequence[str]
    content: bytes
    kind: Kind
    sim: int | None
    wants_delivery: bool
    valid_until_ms: int | None


class Job(NamedTuple):
    """Background work: a report of message `target`, or a call of the URL `target` with `body`."""

    n: int
    target: str
    body: bytes
    failures: int
    due_ms: int


class Text(NamedTuple):
    """A text that came in; `hash` is all by which the app tells one from another."""

    hash: str
    sim: int
    number: str
    text: str
    at_ms: int
