"""One test for each entry of the must-not-break list (contract of SMSMobileAPI, section 5), as its clients see them.

Each request is said byte by byte and each answer is read as the client reads it that would break.
"""

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.conftest import Account, World
from tests.support.http import Response, connected
from tests.support.scripted import FAIL
from tests.support.waiting import until

FORM = "Content-Type: application/x-www-form-urlencoded"
NUMBER = "+32471234567"


@pytest.fixture
async def account(world: World) -> Account:
    """An account with a phone."""
    return await world.account("sender")


async def said(world: World, first: str, *headers: str, body: str = "") -> Response:
    """Sends exactly this; only Host is added, and the body's length where there is a body."""
    length = [f"Content-Length: {len(body.encode())}"] if body else []
    raw = "\r\n".join([first, "Host: api.smsmobileapi.com", *headers, *length, "", body])
    async with connected(world.system.base_url) as connection:
        return await connection.raw(raw.encode())


async def sent(world: World, account: Account, text: str = "Hello") -> dict[str, Any]:
    """The whole answer to the plainest send."""
    target = f"/sendsms/?apikey={account.key}&recipients=%2B32471234567&message={quote(text)}"
    answer = await said(world, f"GET {target} HTTP/1.1")
    assert answer.status == 200, answer
    told: dict[str, Any] = answer.json()
    return told


async def row(world: World, account: Account, guid: str, status: str) -> dict[str, Any]:
    """The log's row of the message once it has this status."""

    async def found() -> dict[str, Any] | None:
        rows = await world.system.log(account.key, guid_message=guid)
        return rows[0] if rows and rows[0]["status"] == status else None

    return await until(found, f"the log says {status}")


async def test_result_error_is_the_number_0(world: World, account: Account) -> None:
    error = (await sent(world, account))["result"]["error"]
    assert type(error) is int
    assert error == 0


async def test_result_sent_is_the_text_1(world: World, account: Account) -> None:
    told = await sent(world, account)
    assert told["result"]["sent"] == "1"
    assert "'sent': '1'" in str(told), "Odoo's connector looks for this very text"


async def test_no_error_at_the_top_of_a_success(world: World, account: Account) -> None:
    assert list(await sent(world, account)) == ["result"]
    guid = (await sent(world, account, f"{FAIL} x"))["result"]["id"]
    await row(world, account, guid, "Error")
    none = "0" * 40
    for path, more in {
        "/log/sent/sms/": {},
        "/getsms/": {},
        "/resend/": {"guid": guid},
        "/deletesms/": {"guid_message": none},
        "/gateway/mobile/list/": {},
        "/call/missed/list/": {},
        "/getwa/synchronisation/": {},
    }.items():
        answer = await world.system.get(path, account.key, **more)
        assert answer.status == 200, (path, answer)
        assert "error" not in answer.json(), path


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_status_is_exactly_200(world: World, account: Account, method: str) -> None:
    target = f"/sendsms/?apikey={account.key}&recipients=%2B32471234567&message=Hello"
    assert (await said(world, f"{method} {target} HTTP/1.1")).status == 200


async def test_post_without_slash_keeps_its_body(world: World, account: Account) -> None:
    body = f"apikey={account.key}&recipients=%2B32471234567&message=kept"
    answer = await said(world, "POST /sendsms HTTP/1.1", FORM, body=body)
    assert answer.status == 200
    assert (await row(world, account, answer.json()["result"]["id"], "Success"))["message"] == "kept"


async def test_post_with_empty_body_and_query_parameters(world: World, account: Account) -> None:
    target = f"/sendsms/?apikey={account.key}&recipients=%2B32471234567&message=in+the+query"
    answer = await said(world, f"POST {target} HTTP/1.1", "Content-Length: 0")
    assert answer.status == 200
    assert (await row(world, account, answer.json()["result"]["id"], "Success"))["message"] == "in the query"


@pytest.mark.parametrize("where", ["query", "form"])
async def test_plus_as_blank(world: World, account: Account, where: str) -> None:
    parameters = f"apikey={account.key}&recipients={NUMBER}&message=Hello"
    if where == "query":
        answer = await said(world, f"GET /sendsms/?{parameters} HTTP/1.1")
    else:
        answer = await said(world, "POST /sendsms/ HTTP/1.1", FORM, body=parameters)
    assert answer.status == 200
    assert (await row(world, account, answer.json()["result"]["id"], "Success"))["number"] == NUMBER


async def test_empty_schedule_timestamp(world: World, account: Account) -> None:
    body = f"apikey={account.key}&recipients=%2B32471234567&message=now&schedule_timestamp="
    answer = await said(world, "POST /sendsms/ HTTP/1.1", FORM, body=body)
    assert answer.status == 200
    assert (await row(world, account, answer.json()["result"]["id"], "Success"))["schedule_timestamp"] is None


async def test_result_sms_is_always_an_array(world: World, account: Account) -> None:
    for path in ("/getsms/", "/getsms", "/log/sent/sms/", "/log/sent/sms"):
        for parameters in (
            f"apikey={account.key}&sIdentifiantPhone=nobody&guid_message={'0' * 40}",
            f"apikey={account.key}&limit=none",
            "apikey=nobodys",
            "",
        ):
            answer = await said(world, f"GET {path}?{parameters} HTTP/1.1")
            assert answer.json()["result"]["sms"] == [], (path, parameters, answer)
        answer = await said(world, f"DELETE {path} HTTP/1.1")
        assert answer.json()["result"]["sms"] == [], (path, answer)


async def test_error_fields_of_the_log_are_empty_and_not_0(world: World, account: Account) -> None:
    for status, text in (("Pending", "waits"), ("Success", "goes")):
        more = f"&schedule_timestamp={int(time.time()) + 86_400}" if status == "Pending" else ""
        target = f"/sendsms/?apikey={account.key}&recipients=%2B32471234567&message={text}{more}"
        guid = (await said(world, f"GET {target} HTTP/1.1")).json()["result"]["id"]
        shown = await row(world, account, guid, status)
        assert (shown["error_api"], shown["send_from_mobile_erreur"]) == ("", ""), shown


async def test_every_error_is_json(world: World, account: Account) -> None:
    key = account.key
    for status, first, *rest in (
        (400, f"GET /sendsms/?apikey={key} HTTP/1.1"),
        (403, "GET /sendsms/ HTTP/1.1"),
        (403, "GET /getsms/ HTTP/1.1", "Authorization: Bearer nobodys"),
        (404, f"GET /emailsms/?apikey={key} HTTP/1.1"),
        (405, "PUT /sendsms/ HTTP/1.1"),
        (405, "DELETE /getsms HTTP/1.1"),
        (413, "POST /sendsms/ HTTP/1.1", "Content-Length: 300000"),
    ):
        answer = await said(world, first, "Accept: text/html", *rest)
        assert answer.status == status, (first, answer)
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        told = json.loads(answer.body)
        assert told["error"] == told["result"]["error"]
        assert told["message"] == told["result"]["note"]
        assert (told["result"]["sent"], told["result"]["id"]) == ("no", None)


async def test_429_has_retry_after(world: World, account: Account) -> None:
    key = await world.key(account, rate_per_minute=1)

    async def refused() -> Response | None:
        answer = await said(world, f"GET /getsms/?apikey={key} HTTP/1.1")
        assert answer.status in (200, 429), answer
        return answer if answer.status == 429 else None

    answer = await until(refused, "the key has asked too often")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json()["error"] == "rate_limited"
