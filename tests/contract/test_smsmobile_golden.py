"""Golden exchanges, by hand from the contract of SMSMobileAPI: request bytes in, exact shape and JSON types out.

Each test names its section; the must-not-break list of section 5 has a test an entry.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.support import http
from tests.support.gateway import DEVICE, KEY, Gateway, running_gateway
from tests.support.rows import add_device, add_message, add_text


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def exchange(gateway: Gateway, request: str) -> http.Response:
    """Sends these lines as they stand; KEY stands for the key, LENGTH for the body's length."""
    head, _, body = request.replace("KEY", KEY).partition("\n\n")
    lines = head.replace("LENGTH", str(len(body.encode()))).split("\n")
    raw = "\r\n".join([lines[0], "Host: api.smsmobileapi.com", *lines[1:], "", body]).encode()
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        return await connection.raw(raw)


FULL = "GET /sendsms/?apikey=KEY&recipients=%2B32471234567&message=Hello HTTP/1.1\n\n"


def typed(value: Any) -> Any:
    """The same with each value's JSON type in its place."""
    if isinstance(value, dict):
        return {name: typed(each) for name, each in value.items()}
    return [typed(each) for each in value] if isinstance(value, list) else type(value).__name__


async def test_2_1_success_is_typed_exactly(gateway: Gateway) -> None:
    answer = await exchange(gateway, FULL)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    said = answer.json()
    assert list(said) == ["result"], "2.1: top level is exactly result; 1.2: no top-level error"
    result = said["result"]
    assert typed(result) == {
        "error": "int",
        "sent": "str",
        "id": "str",
        "note": "str",
        "datetime": "str",
        "datetimeLocal": "str",
        "port": "NoneType",
        "iac_control": "str",
        "iac_authorized": "str",
        "send_with_whatsapp": "str",
        "encrypted": {"status": "str"},
        "trial_account": {"status": "str", "sms_sent": "int"},
    }
    assert (result["error"], result["sent"], result["note"]) == (0, "1", "sent by mobile")
    assert re.fullmatch(r"[0-9a-f]{40}", result["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result["datetime"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00", result["datetimeLocal"])
    assert "'sent': '1'" in str(said), "2.1: Odoo looks for this very text"


QUIRKS = {
    "5: raw + in a query is a leading space": "GET /sendsms?apikey=KEY&recipients=+32471234567&message=a HTTP/1.1\n\n",
    "1: 00 for +": "GET /sendsms?apikey=KEY&recipients=0032471234567&message=a HTTP/1.1\n\n",
    "5: POST without slash keeps its body": (
        "POST /sendsms HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: LENGTH\n\n"
        "apikey=KEY&recipients=%2B32471234567&message=a"
    ),
    "5: POST with an empty body, everything in the query, no content type": (
        "POST /sendsms/?apikey=KEY&recipients=%2B32471234567&message=a HTTP/1.1\nContent-Length: 0\n\n"
    ),
    "1: form and query are merged and the form wins": (
        "POST /sendsms/?message=query&apikey=KEY HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n"
        "Content-Length: LENGTH\n\nrecipients=%2B32471234567&message=a"
    ),
    "1: JSON body": (
        "POST /sendsms HTTP/1.1\nContent-Type: application/json\nContent-Length: LENGTH\n\n"
        '{"apikey": "KEY", "recipients": "+32471234567", "message": "a"}'
    ),
    "1: a form without content type": (
        "POST /sendsms HTTP/1.1\nContent-Length: LENGTH\n\napikey=KEY&recipients=%2B32471234567&message=a"
    ),
    "1: PHP's multipart form": (
        "POST /sendsms/?apikey=KEY HTTP/1.1\nContent-Type: multipart/form-data; boundary=b\nContent-Length: LENGTH\n\n"
        '--b\r\nContent-Disposition: form-data; name="recipients"\r\n\r\n+32471234567\r\n'
        '--b\r\nContent-Disposition: form-data; name="message"\r\n\r\na\r\n--b--\r\n'
    ),
    "5: empty parameters are absent": (
        "GET /sendsms/?apikey=KEY&recipients=%2B32471234567&message=a&schedule_timestamp=&port=&sIdentifiant="
        "&sendsms=&shorturl=&sendwa= HTTP/1.1\n\n"
    ),
    "1: unknown parameters are ignored": (
        "GET /sendsms/?apikey=KEY&recipients=%2B32471234567&message=a&sendername=x&senderid=y&format=json HTTP/1.1\n\n"
    ),
    "1.1: an API key as a Bearer value": (
        "GET /sendsms/?recipients=%2B32471234567&message=a HTTP/1.1\nAuthorization: Bearer KEY\n\n"
    ),
}


async def test_1_quirks_of_real_requests(gateway: Gateway) -> None:
    for name, request in QUIRKS.items():
        answer = await exchange(gateway, request)
        assert (answer.status, answer.json()["result"].get("sent")) == (200, "1"), (name, answer.body)
    commands = await gateway.commands()
    assert [command.recipients[0].number for command in commands] == ["+32471234567"] * len(QUIRKS)
    assert [command.text for command in commands] == ["a"] * len(QUIRKS)


async def test_1_a_percent_sign_needs_no_encoding(gateway: Gateway) -> None:
    request = "GET /sendsms/?apikey=KEY&recipients=32471234567&message=50%+off+100%25+%zz HTTP/1.1\n\n"
    assert (await exchange(gateway, request)).status == 200
    (command,) = await gateway.commands()
    assert command.text == "50% off 100% %zz"


async def test_2_1_port_is_text(gateway: Gateway) -> None:
    answer = await exchange(gateway, FULL.replace("message=", "port=2&message="))
    assert answer.json()["result"]["port"] == "2"


ERRORS = {
    "1.2: no key": (FULL.replace("apikey=KEY", "apikey="), 403, 1),
    "1.2: wrong key": (FULL.replace("KEY", "nobodys"), 403, 1),
    "1.2: missing recipients": (FULL.replace("recipients=", "r="), 400, "missing_recipients"),
    "1.2: missing message": (FULL.replace("message=", "m="), 400, "missing_message"),
    "1.2: bad timestamp": (
        FULL.replace("message", "schedule_timestamp=now&message"),
        400,
        "invalid_schedule_timestamp",
    ),
    "1.2: bad port": (FULL.replace("message", "port=3&message"), 400, "invalid_port"),
    "2.1: unknown device": (FULL.replace("message", "sIdentifiant=nobody&message"), 200, 2),
    "2.1: no channel": (FULL.replace("message", "sendsms=0&message"), 400, "no_channel"),
    "2.1: WhatsApp, which no phone has": (FULL.replace("message", "waonly=yes&message"), 200, "whatsapp_not_connected"),
    "2.8: another path": ("GET /whatsapp/checknumber/?apikey=KEY HTTP/1.1\n\n", 404, "not_found"),
    "1: another method": ("PUT /sendsms/ HTTP/1.1\n\n", 405, "method_not_allowed"),
}


async def test_1_2_errors_have_both_shapes(gateway: Gateway) -> None:
    for name, (request, status, code) in ERRORS.items():
        answer = await exchange(gateway, request)
        said = answer.json()
        text = said["message"]
        assert answer.status == status, name
        assert said == {
            "error": code,
            "message": text,
            "result": {"error": code, "sent": "no", "id": None, "note": text},
        }, name
    assert await gateway.commands() == []


async def test_1_2_a_bad_bearer_token(gateway: Gateway) -> None:
    answer = await exchange(gateway, "GET /getsms HTTP/1.1\nAuthorization: Bearer nobodys\n\n")
    assert (answer.status, answer.json()["error"]) == (403, 1)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_2_3_the_log(gateway: Gateway, pool: Pool) -> None:
    nothing = await exchange(gateway, f"GET /log/sent/sms/?apikey=KEY&guid_message={'0' * 40} HTTP/1.1\n\n")
    assert (nothing.status, nothing.json()) == (200, {"result": {"error": "no_record", "sms": []}})
    await add_message(pool, state="sent")
    for request in ("GET /log/sent/sms?apikey=KEY HTTP/1.1\n\n", "POST /log/sent/sms/?apikey=KEY HTTP/1.1\n\n"):
        answer = await exchange(gateway, request)
        assert answer.status == 200
        said = answer.json()
        assert list(said) == ["result"]
        assert said["result"]["error"] == 0
        (row,) = said["result"]["sms"]
        assert (row["send_from_mobile"], row["send_from_mobile_erreur"], row["error_api"]) == ("1", "", "")
        assert typed(row) == {
            "guid": "str",
            "id": "str",
            "number": "str",
            "recipients": "str",
            "message": "str",
            "send_from_mobile": "str",
            "send_from_mobile_erreur": "str",
            "error_api": "str",
            "status": "str",
            "datetime": "str",
            "date": "str",
            "hour": "str",
            "timestamp_unix": "int",
            "sIdentifiantPhone": "NoneType",
            "port": "NoneType",
            "schedule_timestamp": "NoneType",
            "origin": "NoneType",
            "client_ref": "NoneType",
            "priority": "int",
            "valid_until": "int",
            "estimated_at": "NoneType",
            "reason": "NoneType",
            "encoding": "str",
            "parts": "int",
        }


async def test_2_3_pending_right_after_the_send(gateway: Gateway) -> None:
    guid = (await exchange(gateway, FULL)).json()["result"]["id"]
    answer = await exchange(gateway, f"GET /log/sent/sms/?apikey=KEY&guid_message={guid} HTTP/1.1\n\n")
    said = answer.json()["result"]
    assert said["error"] == 0
    (row,) = said["sms"]
    assert (row["guid"], row["status"]) == (guid, "Pending")
    assert (row["send_from_mobile"], row["send_from_mobile_erreur"], row["error_api"]) == ("0", "", "")


async def test_2_4_received_texts(gateway: Gateway, pool: Pool) -> None:
    empty = await exchange(gateway, "GET /getsms/?apikey=KEY HTTP/1.1\n\n")
    assert (empty.status, empty.json()) == (200, {"result": {"error": None, "sms": []}})
    await add_text(pool, "hi")
    for request in (
        "GET /getsms?apikey=KEY&onlyunread=no HTTP/1.1\n\n",
        "POST /getsms HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: LENGTH\n\napikey=KEY",
    ):
        said = (await exchange(gateway, request)).json()
        assert list(said) == ["result"]
        (row,) = said["result"]["sms"]
        assert typed(row) == {
            "id": "int",
            "guid": "str",
            "number": "str",
            "message": "str",
            "timestamp_unix": "int",
            "sIdentifiantPhone": "str",
            "alias": "NoneType",
            "date": "str",
            "hour": "str",
            "time_received": "str",
        }
        assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", row["guid"])
        assert re.fullmatch(r"\d{17}", row["time_received"])
        assert (row["sIdentifiantPhone"], row["message"]) == (DEVICE, "hi")


async def test_2_4_the_array_is_there_in_errors_too(gateway: Gateway) -> None:
    answer = await exchange(gateway, "GET /getsms/?apikey=nobodys HTTP/1.1\n\n")
    assert (answer.status, answer.json()["result"]["sms"]) == (403, [])
