"""What cannot be accepted gets the documented JSON error and changes nothing."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.http import FORM, Broken, Response, connected
from tests.support.system import MOST_ROWS, System

JSON = {"Content-Type": "application/json"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=cut"}
CHUNKED = FORM | {"Transfer-Encoding": "chunked"}
YEAR_5000 = 95_617_584_000
GOOD = "apikey={key}&recipients=15550000001&message=hi"
KEY_AND_NUMBER = "apikey={key}&recipients=15550000001"


@dataclass(frozen=True)
class Bad:
    """A request that is refused; `{key}` in it stands for the API key."""

    name: str
    status: int
    code: int | str
    query: str = ""
    body: str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=lambda: FORM)
    method: str = "POST"
    path: str = "/sendsms/"


SENDS = [
    Bad("no key", 403, 1, body="recipients=15550000001&message=hi"),
    Bad("empty key", 403, 1, body="apikey=&recipients=15550000001&message=hi"),
    Bad("wrong key", 403, 1, body=f"apikey={'0' * 48}&recipients=15550000001&message=hi"),
    Bad("key with NUL", 403, 1, body="apikey={key}%00&recipients=15550000001&message=hi"),
    Bad("endless key", 403, 1, body=f"apikey={'a' * 100_000}&recipients=15550000001&message=hi"),
    Bad("wrong Bearer", 403, 1, body="recipients=15550000001&message=hi", headers=FORM | {"Authorization": "Bearer x"}),
    Bad("nothing at all", 403, 1, method="GET"),
    Bad("no recipient", 400, "missing_recipients", body="apikey={key}&message=hi"),
    Bad("blank recipient", 400, "missing_recipients", body="apikey={key}&recipients=+&message=hi"),
    Bad("only commas", 400, "missing_recipients", body="apikey={key}&recipients=,;,&message=hi"),
    Bad("no number", 400, "invalid_recipient", body="apikey={key}&recipients=%2B12%C3%A9&message=hi"),
    Bad("NUL in the number", 400, "invalid_recipient", body="apikey={key}&recipients=1555%000001&message=hi"),
    Bad("one bad number of two", 400, "invalid_recipient", body="apikey={key}&recipients=15550000001,%00&message=hi"),
    Bad("no message", 400, "missing_message", body=KEY_AND_NUMBER),
    Bad("empty message", 400, "missing_message", body=KEY_AND_NUMBER + "&message="),
    Bad("NUL in the text", 400, "invalid_message", body=KEY_AND_NUMBER + "&message=a%00b"),
    Bad("NUL in the text by GET", 400, "invalid_message", query=KEY_AND_NUMBER + "&message=a%00b", method="GET"),
    Bad("lone surrogate", 400, "invalid_encoding", body=KEY_AND_NUMBER + "&message=a%ED%A0%80b"),
    Bad("lone surrogate by GET", 400, "invalid_encoding", query=KEY_AND_NUMBER + "&message=%ED%A0%80", method="GET"),
    Bad("percent-encoding that is no UTF-8", 400, "invalid_encoding", body=KEY_AND_NUMBER + "&message=%FF%FE"),
    Bad("percent-encoding cut off", 400, "invalid_encoding", body=KEY_AND_NUMBER + "&message=%C3"),
    Bad("overlong encoding", 400, "invalid_encoding", body=KEY_AND_NUMBER + "&message=%C0%80"),
    Bad("raw bytes that are no UTF-8", 400, "invalid_encoding", body=b"apikey={key}&recipients=1555000&message=\xff"),
    Bad("bad encoding in an unknown name", 400, "invalid_encoding", body=GOOD + "&%FF=1"),
    Bad("text of 20,001 characters", 400, "message_too_long", body=KEY_AND_NUMBER + "&message=" + "a" * 20_001),
    Bad("port 3", 400, "invalid_port", body=GOOD + "&port=3"),
    Bad("year 5000", 400, "invalid_schedule_timestamp", body=GOOD + f"&schedule_timestamp={YEAR_5000}"),
    Bad("year 5000 in ms", 400, "invalid_schedule_timestamp", body=GOOD + f"&schedule_timestamp={YEAR_5000}000"),
    Bad("366 days ahead", 400, "invalid_schedule_timestamp", body=GOOD + "&schedule_timestamp={in_366_days}"),
    Bad("schedule in words", 400, "invalid_schedule_timestamp", body=GOOD + "&schedule_timestamp=tomorrow"),
    Bad("negative schedule", 400, "invalid_schedule_timestamp", body=GOOD + "&schedule_timestamp=-1"),
    Bad("schedule is NaN", 400, "invalid_schedule_timestamp", body=GOOD + "&schedule_timestamp=NaN"),
    Bad("ten thousand digits", 400, "invalid_schedule_timestamp", body=GOOD + "&schedule_timestamp=" + "9" * 10_000),
    Bad("unknown device", 200, 2, body=GOOD + "&sIdentifiant=" + "x" * 21),
    Bad("no device id at all", 200, 2, body=GOOD + "&sIdentifiant=%00"),
    Bad("no channel", 400, "no_channel", body=GOOD + "&sendsms=0"),
    Bad("WhatsApp without a phone for it", 200, "whatsapp_not_connected", body=GOOD + "&waonly=yes"),
    Bad("NUL in the origin", 400, "invalid_from", body=GOOD + "&from=%00"),
    Bad("body of 2 MB", 413, "too_large", body=KEY_AND_NUMBER + "&message=" + "a" * 2_000_000),
    Bad("2 MB of nothing useful", 413, "too_large", body=GOOD + "&x=" + "a" * 2_000_000),
    Bad("chunked body of 2 MB", 413, "too_large", body="a" * 2_000_000, headers=CHUNKED),
    Bad("1,001 parameters", 400, "too_many_parameters", body=GOOD + "&a=1" * 998 + "&b=2&c=3"),
    Bad("1,001 recipients", 400, "too_many_recipients", body="apikey={key}&message=hi&recipients=" + "1555," * 1001),
    Bad("broken JSON", 400, "invalid_json", body='{"apikey": "{key}", "recipients"', headers=JSON),
    Bad("JSON list", 400, "invalid_json", body="[1, 2]", headers=JSON),
    Bad("deep JSON", 400, "invalid_json", body='{"a":' * 40_000, headers=JSON),
    Bad(
        "lone surrogate in JSON", 400, "invalid_json", headers=JSON,
        body='{"apikey": "{key}", "recipients": "15550000001", "message": "a\\ud800b"}',
    ),
    Bad(
        "NUL in JSON", 400, "invalid_message", headers=JSON,
        body='{"apikey": "{key}", "recipients": "15550000001", "message": "a\\u0000b"}',
    ),
    Bad("broken multipart", 400, "invalid_form", body="--cut\r\nContent-", headers=MULTIPART),
    Bad("multipart without a boundary", 400, "invalid_form", body="x", headers={"Content-Type": "multipart/form-data"}),
    Bad("PUT", 405, "method_not_allowed", method="PUT", body=GOOD),
    Bad("DELETE", 405, "method_not_allowed", method="DELETE", query=GOOD),
    Bad("unknown path", 404, "not_found", path="/sendsms/now", body=GOOD),
]  # fmt: skip

READS = [
    Bad("log without a key", 403, 1, path="/log/sent/sms/", method="GET"),
    Bad("log with a wrong key", 403, 1, path="/log/sent/sms", query=f"apikey={'f' * 48}", method="GET"),
    Bad("log of a million rows", 400, "invalid_limit", path="/log/sent/sms/", query="apikey={key}&limit=1000000"),
    Bad("negative offset", 400, "invalid_offset", path="/log/sent/sms/", query="apikey={key}&offset=-1"),
    Bad("guid with NUL", 200, "no_record", path="/log/sent/sms/", query="apikey={key}&guid_message=%00"),
    Bad("guid of nobody", 200, "no_record", path="/log/sent/sms/", query="apikey={key}&guid_message=" + "0" * 40),
    Bad("inbox without a key", 403, 1, path="/getsms/", method="GET"),
    Bad("inbox with bad encoding", 400, "invalid_encoding", path="/getsms/", query="apikey={key}&x=%FF", method="GET"),
]


async def asked(system: System, bad: Bad) -> Response:
    """Sends the request as its row says."""
    values = {"{key}": system.key, "{in_366_days}": str(int(time.time()) + 366 * 86_400)}
    query, body = bad.query, bad.body if isinstance(bad.body, bytes) else bad.body.encode()
    for name, value in values.items():
        query, body = query.replace(name, value), body.replace(name.encode(), value.encode())
    if bad.headers.get("Transfer-Encoding") == "chunked":
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _pieces(body)) + b"0\r\n\r\n"
        headers = {**bad.headers, "Host": "localhost"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        async with connected(system.base_url) as connection:
            return await connection.raw(f"{bad.method} {bad.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    async with connected(system.base_url) as connection:
        target = f"{bad.path}?{query}" if query else bad.path
        return await connection.request(bad.method, target, body=body, headers=bad.headers if body else {})


def _pieces(body: bytes) -> list[bytes]:
    return [body[start : start + 16_384] for start in range(0, len(body), 16_384)]


async def everything(system: System) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """All that a request could have changed, as its users see it."""
    return await system.log(limit=MOST_ROWS), await system.inbox(limit=MOST_ROWS), system.radio()


@pytest.mark.parametrize("bad", SENDS, ids=lambda bad: bad.name)
async def test_a_bad_send_is_refused_and_changes_nothing(system: System, bad: Bad) -> None:
    await system.at_rest()
    before = await everything(system)
    answer = await asked(system, bad)
    assert (answer.status, answer.json()["error"]) == (bad.status, bad.code), answer
    told = answer.json()
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert list(told) == ["error", "message", "result"]
    assert told["message"]
    assert told["result"] == {"error": bad.code, "sent": "no", "id": None, "note": told["message"]}
    assert await everything(system) == before


@pytest.mark.parametrize("bad", READS, ids=lambda bad: bad.name)
async def test_a_bad_question_is_answered_with_an_empty_list(system: System, bad: Bad) -> None:
    answer = await asked(system, bad)
    result = answer.json()["result"]
    assert (answer.status, result["error"]) == (bad.status, bad.code), answer
    assert result["sms"] == []
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    "request_line",
    [b"GET /sendsms/?message=\xff\xfe HTTP/1.1", b"GET /sendsms/ HTTP/9.9", b"nonsense", b"\x16\x03\x01\x02\x00\x01"],
)
async def test_what_is_no_http_is_refused_and_harms_nobody(system: System, request_line: bytes) -> None:
    async with connected(system.base_url) as connection:
        try:
            answer = await connection.raw(request_line + b"\r\nHost: x\r\n\r\n")
        except Broken:
            pass
        else:
            assert 400 <= answer.status < 500, answer
    assert (await system.get("/getsms/")).status == 200


async def test_what_only_looks_bad_is_accepted(system: System) -> None:
    """The contract's leniency: a lone % stays, empty parameters are absent, unknown ones are ignored, + is a blank."""
    body = f"apikey={system.key}&recipients=+15550007777&message=50%+of+100%25&schedule_timestamp=&port=&format=json"
    answer = await system.post("/sendsms", body.encode())
    assert answer.status == 200, answer
    guid = answer.json()["result"]["id"]
    row = await system.succeeded(guid)
    assert (row["message"], row["number"]) == ("50% of 100%", "+15550007777")
    assert json.loads(answer.body)["result"]["port"] is None
