"""Reads golden transcripts: request bytes in, exact answer out. Nothing here can write one.

A file holds transcripts that open with `### <section> <what it shows>`. Below it:

    account: <name>            whose key, device and phone the placeholders mean (tests/contract/conftest.py)
    at: <name>                 the gateway that is asked; without it the system's own
    ! <step>                   something outside HTTP happens (test_transcripts.py), such as a text that arrives
    ! until                    the next exchange is repeated until it is answered so
    > <line>                   one line of the request; lines end with CR LF, the first empty one ends the head,
                               the body is the rest of them with CR LF between
    < <status>                 the status, then one line for each header that matters: `< retry-after: <int>`;
                               `< name: -` says that the header must not be there
    {...}                      the whole body as JSON: no other keys, no other types

In requests `<name>` stands for a value: what an account has, what an earlier answer was seen to hold, `<length>` of the
body, `<now+60>` (Unix seconds), `<today>` in their time zone, `<repeat N text>` and `<bytes ff 00>`. In answers
`"<kind>"` stands for any value of a kind and `"<kind name>"` also keeps it as `name`, or must equal what has been kept;
`"<name>"` is the value itself. A kind with a `?` may be null. `why` is kept within one answer only.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Europe/Brussels")
"""The time zone of the accounts that transcripts use."""


@dataclass(frozen=True)
class Step:
    """Something that is done between exchanges: its words."""

    words: str


@dataclass
class Exchange:
    """One request and the answer that it must get."""

    request: list[str]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    until: bool = False
    """Asked again until it is answered so."""


@dataclass
class Transcript:
    """One scene."""

    title: str
    place: str
    account: str = "sender"
    at: str = "system"
    parts: list[Step | Exchange] = field(default_factory=list)


class Values(dict[str, str]):
    """What placeholders stand for."""

    def fill(self, text: str) -> str:
        """The text with each `<name>` replaced. Raises AssertionError for a name that means nothing."""
        return _PLACEHOLDER.sub(lambda match: self._value(match[1]), text)

    def _value(self, name: str) -> str:
        if name in self:
            return self[name]
        if match := _NOW.fullmatch(name):
            return str(int(time.time()) + int(match[1] or 0))
        if match := _REPEAT.fullmatch(name):
            return match[2] * int(match[1])
        if name == "today":
            return datetime.now(ZONE).strftime("%Y-%m-%d")
        raise AssertionError(f"the transcript's <{name}> stands for nothing")


_PLACEHOLDER = re.compile(r"<([a-z][^<>]*)>")
_NOW = re.compile(r"now([+-][0-9]+)?")
_REPEAT = re.compile(r"repeat ([0-9]+) (.+)")
_BYTES = re.compile(r"<bytes ([0-9a-f ]+)>")

_TEXTS: dict[str, str] = {
    "text": r"(?s:.*)",
    "words": r"(?s:.+)",
    "code": r"[a-z][a-z0-9_]*",
    "guid": r"[0-9a-f]{40}",
    "uuid": r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}",
    "sid": r"[A-Za-z0-9_-]{21}",
    "utc": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "brussels": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00",
    "date": r"\d{4}-\d\d-\d\d",
    "hour": r"\d\d:\d\d:\d\d",
    "digits": r"\d+",
    "digits17": r"\d{17}",
}
_KIND = re.compile(r"<([a-z0-9]+)(\??)(?: ([a-z][a-z0-9 ]*))?>")


def _is_kind(kind: str, value: object) -> bool:
    if kind == "int":
        return type(value) is int
    if kind == "number":
        return type(value) in (int, float)
    if kind == "bool":
        return type(value) is bool
    return isinstance(value, str) and re.fullmatch(_TEXTS[kind], value) is not None


def request_bytes(exchange: Exchange, values: Values) -> bytes:
    """The request exactly as it goes over the wire."""
    end = exchange.request.index("")
    head, body = exchange.request[:end], exchange.request[end + 1 :]
    filled = _raw("\r\n".join(body), values)
    told = Values(values | {"length": str(len(filled))})
    return b"\r\n".join([*(_raw(line, told) for line in head), b"", filled])


def _raw(text: str, values: Values) -> bytes:
    """Filled and encoded; `<bytes ..>` are put in after the encoding."""
    pieces = _BYTES.split(text)
    return b"".join(
        bytes.fromhex(piece) if number % 2 else values.fill(piece).encode() for number, piece in enumerate(pieces)
    )


def differences(expected: Any, actual: Any, values: Values, where: str = "body") -> Iterator[str]:
    """Where an answer is not what it must be; keeps what the expected one names."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            yield f"{where}: {actual!r} is no object"
            return
        for name in expected.keys() - actual.keys():
            yield f"{where}.{name} is missing"
        for name in actual.keys() - expected.keys():
            yield f"{where}.{name} = {actual[name]!r} is too much"
        for name, value in expected.items():
            if name in actual:
                yield from differences(value, actual[name], values, f"{where}.{name}")
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(expected) != len(actual):
            yield f"{where}: {actual!r} is no array of {len(expected)}"
            return
        for number, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, values, f"{where}[{number}]")
    elif isinstance(expected, str) and (match := _KIND.fullmatch(expected)) and match[1] in (*_TEXTS, *_OTHERS):
        yield from _kind_differences(match[1], match[2], match[3], actual, values, where)
    else:
        wanted = values.fill(expected) if isinstance(expected, str) else expected
        if type(wanted) is not type(actual) or wanted != actual:
            yield f"{where} = {actual!r}, not {wanted!r}"


_OTHERS = ("int", "number", "bool")


def _kind_differences(
    kind: str, nullable: str, name: str | None, actual: Any, values: Values, where: str
) -> Iterator[str]:
    if actual is None and nullable:
        return
    if not _is_kind(kind, actual):
        yield f"{where} = {actual!r} is no <{kind}>"
    elif name is not None and values.setdefault(name, str(actual)) != str(actual):
        yield f"{where} = {actual!r} is not the <{name}> {values[name]!r}"


def expected_body(exchange: Exchange) -> Any:
    """What the answer's body must be, with placeholders in it; None where it must be empty."""
    return json.loads(exchange.body) if exchange.body else None


def read_transcripts(folder: Path) -> list[Transcript]:
    """All transcripts of the folder's files, in their order."""
    return [each for file in sorted(folder.glob("*.http")) for each in _transcripts(file)]


def _transcripts(file: Path) -> Iterator[Transcript]:
    current: Transcript | None = None
    readers: list[tuple[str, Callable[[Transcript, str], None]]] = [
        ("account: ", _account),
        ("at: ", _at),
        ("! ", _step),
        (">", _request),
        ("< ", _answer),
    ]
    for number, line in enumerate(file.read_text().split("\n"), 1):
        if line.startswith("### "):
            if current is not None:
                yield current
            current = Transcript(line.removeprefix("### "), f"{file.name}:{number}")
        elif current is None or not line.strip() or line.startswith("# "):
            continue
        else:
            for mark, read in readers:
                if line.startswith(mark):
                    read(current, line.removeprefix(mark))
                    break
            else:
                _last(current).body += line
    if current is not None:
        yield current


def _account(transcript: Transcript, text: str) -> None:
    transcript.account = text


def _at(transcript: Transcript, text: str) -> None:
    transcript.at = text


def _step(transcript: Transcript, text: str) -> None:
    transcript.parts.append(Step(text))


def _request(transcript: Transcript, text: str) -> None:
    line = text.removeprefix(" ")
    parts = transcript.parts
    if not parts or isinstance(parts[-1], Step) or parts[-1].status:
        until = bool(parts) and parts[-1] == Step("until")
        if until:
            parts.pop()
        parts.append(Exchange([], until=until))
    _last(transcript).request.append(line)


def _answer(transcript: Transcript, text: str) -> None:
    exchange = _last(transcript)
    if not exchange.status:
        exchange.status = int(text)
    else:
        name, _, value = text.partition(":")
        exchange.headers[name.strip().lower()] = value.strip()


def _last(transcript: Transcript) -> Exchange:
    last = transcript.parts[-1]
    assert isinstance(last, Exchange), f"{transcript.place}: a line that belongs to no request"
    return last
