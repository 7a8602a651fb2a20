"""The comparison of golden transcripts lets nothing through: no other key, no other type, no other value."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.transcripts import Exchange, Values, differences, read_transcripts, request_bytes

GUID = "0123456789abcdef0123456789abcdef01234567"


def faults(expected: Any, actual: Any, **values: str) -> list[str]:
    return list(differences(expected, actual, Values(values)))


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a": "<int>"}, {"a": 5}),
        ({"a": "<int?>"}, {"a": None}),
        ({"a": "<guid one>", "b": "<guid one>"}, {"a": GUID, "b": GUID}),
        ([{"a": "<text>"}], [{"a": ""}]),
        ({"a": "<key>"}, {"a": "k"}),
        ({"a": "<repeat 3 x>"}, {"a": "xxx"}),
    ],
)
def test_equal(expected: Any, actual: Any) -> None:
    assert faults(expected, actual, key="k") == []


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": "1"}, {"a": 1}),
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": 0}, {"a": 0.0}),
        ({"a": 0}, {"a": None}),
        ({"a": None}, {"a": ""}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": []}, {"a": None}),
        ({"a": []}, {"a": [1]}),
        ([1, 2], [2, 1]),
        ({"a": {}}, {"a": []}),
        ({"a": "<int>"}, {"a": "5"}),
        ({"a": "<int>"}, {"a": True}),
        ({"a": "<words>"}, {"a": ""}),
        ({"a": "<guid>"}, {"a": GUID.upper()}),
        ({"a": "<guid>"}, {"a": GUID + "\n"}),
        ({"a": "<guid one>", "b": "<guid one>"}, {"a": GUID, "b": GUID[::-1]}),
        ({"a": "<text>"}, {"a": None}),
    ],
)
def test_different(expected: Any, actual: Any) -> None:
    assert faults(expected, actual)


def test_what_stands_for_nothing_is_a_fault_of_the_transcript() -> None:
    with pytest.raises(AssertionError, match="stands for nothing"):
        faults({"a": "<nobody>"}, {"a": "x"})


def test_a_request_is_exactly_its_lines(tmp_path: Path) -> None:
    text = "### 1 a\n> POST /x?k=<key> HTTP/1.1\n> Content-Length: <length>\n>\n> a=<bytes ff 00>é\n>\n< 200\n{}\n"
    (tmp_path / "a.http").write_text(text)
    (transcript,) = read_transcripts(tmp_path)
    (exchange,) = transcript.parts
    assert isinstance(exchange, Exchange)
    raw = request_bytes(exchange, Values(key="K"))
    assert raw == b"POST /x?k=K HTTP/1.1\r\nContent-Length: 8\r\n\r\na=\xff\x00\xc3\xa9\r\n"
