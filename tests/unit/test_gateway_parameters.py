"""Parameters as clients really send them (contract: SMSMobileAPI section 1)."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.dialects.smsmobile.fields import instant, page, whole_number
from services.gateway.dialects.smsmobile.parameters import Parameters, parse_body, parse_pairs
from services.gateway.dialects.smsmobile.sendsms import _recipients
from shared.errors import Invalid

FORM = b"application/x-www-form-urlencoded"


def pairs(raw: bytes) -> Parameters:
    found: Parameters = {}
    parse_pairs(raw, found)
    return found


def body(content_type: bytes, raw: bytes, **before: str) -> Parameters:
    found: Parameters = dict(before)
    parse_body(content_type, raw, found)
    return found


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"recipients=+32471234567", {"recipients": " 32471234567"}),
        (b"recipients=%2B32471234567", {"recipients": "+32471234567"}),
        (b"message=50%&a=100%25", {"message": "50%", "a": "100%"}),
        (b"message=50%25%zz%4", {"message": "50%%zz%4"}),
        (b"schedule_timestamp=&port", {}),
        (b"a=1&a=", {"a": "1"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"&&=x&", {"": "x"}),
        (b"m=%E2%82%AC+\xe2\x82\xac", {"m": "€ €"}),
        (b"%6dessage=x", {"message": "x"}),
        (b"m=%00", {"m": "\0"}),
    ],
)
def test_pairs(raw: bytes, expected: Parameters) -> None:
    assert pairs(raw) == expected


@pytest.mark.parametrize("raw", [b"m=%ff", b"m=\xff", b"%ff=m", b"m=%ED%A0%80"])
def test_what_is_not_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid) as error:
        pairs(raw)
    assert error.value.code == "invalid_encoding"


def test_a_flood_of_parameters_is_refused() -> None:
    floods: list[Callable[[], object]] = [
        lambda: pairs(b"&" * 1000),
        lambda: body(b"text/json", msgspec.json.encode(dict.fromkeys(map(str, range(1001))))),
    ]
    for parse in floods:
        with pytest.raises(Invalid) as error:
            parse()
        assert error.value.code == "too_many_parameters"


@pytest.mark.parametrize(
    "kind", [b"", FORM, b"text/plain", b"nonsense", FORM + b"; charset=UTF-8", b"APPLICATION/X-WWW-FORM-URLENCODED"]
)
def test_a_form_needs_no_content_type(kind: bytes) -> None:
    assert body(kind, b"message=a+b\r\n" if kind != FORM else b"message=a+b") == {"message": "a b"}


def test_the_body_wins_and_its_empty_values_do_not() -> None:
    assert body(FORM, b"a=form&b=&c=3", a="query", b="query") == {"a": "form", "b": "query", "c": "3"}


@pytest.mark.parametrize("kind", [b"application/json", b"application/json; charset=utf-8", b"", b"text/plain"])
def test_json(kind: bytes) -> None:
    raw = b' {"message": "h\\u00e9", "port": 1, "t": true, "f": false, "d": 5.0, '
    raw += b'"n": null, "x": {"y": 1}, "l": [1], "e": ""}'
    assert body(kind, raw) == {"message": "hé", "port": "1", "t": "1", "f": "0", "d": "5"}


def test_json_recipients_may_be_a_list() -> None:
    assert body(b"application/json", b'{"recipients": ["+1555", 1666, null]}') == {"recipients": "+1555,1666,"}


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{",
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a":' * 5000,
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"null",
    ],
)
def test_json_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid) as error:
        body(b"application/json", raw)
    assert error.value.code == "invalid_json"


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\nh\xc3\xa9\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nfile\r\n--x--\r\n'
)


def test_multipart() -> None:
    assert body(b"multipart/form-data; boundary=x", MULTIPART) == {"message": "hé"}


@pytest.mark.parametrize(
    ("kind", "raw", "code"),
    [
        (b"multipart/form-data", MULTIPART, "invalid_form"),
        (b"multipart/form-data; boundary=x", MULTIPART[:-9], "invalid_form"),
        (b"multipart/form-data; boundary=y", MULTIPART, "invalid_form"),
        (b"multipart/form-data; boundary=x", MULTIPART.replace(b"\xc3", b"\xff"), "invalid_encoding"),
    ],
)
def test_a_broken_multipart_form_is_refused(kind: bytes, raw: bytes, code: str) -> None:
    with pytest.raises(Invalid) as error:
        body(kind, raw)
    assert error.value.code == code


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", FORM, b"application/json", b"multipart/form-data; boundary=x", b"\xff"]),
)
def test_no_body_breaks_the_reader(raw: bytes, kind: bytes) -> None:
    try:
        found = body(kind, raw)
    except Invalid:
        return
    assert all(isinstance(value, str) and value for value in found.values())


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20).filter(bool), max_size=5))
def test_what_is_encoded_comes_back(fields: dict[str, str]) -> None:
    from urllib.parse import urlencode

    assert pairs(urlencode(fields).encode()) == fields
    assert body(b"application/json", msgspec.json.encode(fields)) == fields


def test_whole_numbers() -> None:
    assert whole_number({}, "ttl", 1, 5) is None
    assert whole_number({"ttl": " 5 "}, "ttl", 1, 5) == 5
    assert whole_number({"p": "-5"}, "p", -5, 5) == -5
    for text in ("6", "0", "1.5", "x", "1e3", "٣", "9" * 50, "--1", ""):
        with pytest.raises(Invalid) as error:
            whole_number({"ttl": text}, "ttl", 1, 5)
        assert error.value.code == "invalid_ttl"


def test_page_and_instant() -> None:
    assert page({}) == (100, 0)
    assert page({"limit": "1000", "offset": "7"}) == (1000, 7)
    for wrong in ({"limit": "0"}, {"limit": "1001"}, {"offset": "-1"}):
        with pytest.raises(Invalid):
            page(wrong)
    assert instant({}, "a", "b") is None
    at = instant({"b": "253402300799"}, "a", "b")
    assert at is not None
    assert at.year == 9999


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" 32471234567", ["+32471234567"]),
        ("0470123456, 0471123456", ["0470123456", "0471123456"]),
        (" 3247123456, 3247123457", ["+3247123456", "+3247123457"]),
        ("+3247123456;;+3247123457,", ["+3247123456", "+3247123457"]),
    ],
)
def test_recipients(raw: str, expected: list[str]) -> None:
    assert _recipients({"recipients": raw}) == (expected, len(expected) > 1)


@pytest.mark.parametrize("raw", [",", " ; "])
def test_a_list_of_nobody(raw: str) -> None:
    assert _recipients({"recipients": raw}) == ([], False)
