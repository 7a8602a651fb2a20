"""Reads a request's parameters as lenient as the commercial service does (contract: SMSMobileAPI section 1). Pure.

Query, form (urlencoded or multipart) and JSON object are merged and the body wins; an empty value counts as absent.
"""

from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from shared.errors import Invalid

Parameters = dict[str, str]
"""Names and non-empty values; unknown names are kept and ignored later."""

MAX_FIELDS: Final = 1000
"""Most parameters in one query or body."""

_JSON: Final = msgspec.json.Decoder(dict[str, Any])
_LIST: Final = "recipients"
"""The one parameter that may be a list in JSON."""


def parse_pairs(raw: bytes, into: Parameters) -> None:
    """Adds the pairs of a query string or an urlencoded body. A % not followed by two hex digits stays as it is.

    Raises Invalid (`invalid_encoding`, `too_many_parameters`).
    """
    if not raw:
        return
    if raw.count(b"&") >= MAX_FIELDS:
        raise Invalid(f"There are more than {MAX_FIELDS} parameters.", code="too_many_parameters")
    try:
        for pair in raw.decode().replace("+", " ").split("&"):
            name, _, value = pair.partition("=")
            if not value:
                continue
            if "%" in value:
                value = unquote_to_bytes(value).decode()
            if "%" in name:
                name = unquote_to_bytes(name).decode()
            into[name] = value
    except UnicodeDecodeError as error:
        raise _not_utf8() from error


def parse_body(content_type: bytes, body: bytes, into: Parameters) -> None:
    """Adds the parameters of a body. A missing or odd content type is taken for a form, or JSON if it opens with {.

    Raises Invalid (`invalid_encoding`, `invalid_json`, `invalid_form`, `too_many_parameters`).
    """
    if not body:
        return
    if content_type == b"application/x-www-form-urlencoded":
        parse_pairs(body, into)
        return
    kind = content_type.lower()
    if b"json" in kind:
        _parse_json(body, into)
    elif kind.startswith(b"multipart/form-data"):
        _parse_multipart(content_type, body, into)
    elif not kind.startswith(b"application/x-www-form-urlencoded") and body.lstrip()[:1] == b"{":
        _parse_json(body, into)
    else:
        parse_pairs(body.strip(b"\r\n"), into)


def _parse_json(body: bytes, into: Parameters) -> None:
    try:
        fields = _JSON.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("The body is not a JSON object.", code="invalid_json") from error
    if len(fields) > MAX_FIELDS:
        raise Invalid(f"There are more than {MAX_FIELDS} parameters.", code="too_many_parameters")
    for name, value in fields.items():
        if isinstance(value, list) and name == _LIST:
            text = ",".join(_scalar(item) for item in value)
        else:
            text = _scalar(value)
        if text:
            into[name] = text


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return ""


def _parse_multipart(content_type: bytes, body: bytes, into: Parameters) -> None:
    _, options = parse_options_header(content_type.decode("latin-1"))
    name, value = "", bytearray()
    is_text = False
    try:
        with PushMultipartParser(options.get("boundary", ""), max_segment_count=MAX_FIELDS) as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    name, is_text = event.name, not event.filename
                    value.clear()
                elif event:
                    value += event
                elif is_text and value:
                    into[name] = value.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8() from error
    except (MultipartError, ValueError) as error:
        raise Invalid("The body is not a valid multipart form.", code="invalid_form") from error


def _not_utf8() -> Invalid:
    return Invalid("A parameter is not valid UTF-8 after percent-decoding.", code="invalid_encoding")
