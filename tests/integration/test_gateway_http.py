"""The gateway's HTTP on real NATS and Postgres: bodies, errors, credentials, documents and health."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.contracts.rpc.auth import Verdict
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.conftest import Eventually
from tests.support import http
from tests.support.gateway import ACCOUNT, KEY, OTHER_KEY, READING_KEY, Gateway, running_gateway, send
from tests.support.rows import add_device


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


BAD_REQUESTS: list[tuple[str, str, bytes, dict[str, str], int, int | str]] = [
    ("GET", f"/sendsms?apikey={KEY}&recipients=123&message=%ff", b"", {}, 400, "invalid_encoding"),
    ("POST", "/sendsms", b'{"message": "\\ud800"}', {"Content-Type": "application/json"}, 400, "invalid_json"),
    ("POST", "/sendsms/", b"x" * 2_000_000, http.FORM, 413, "too_large"),
    ("POST", "/sendsms/", b"x" * 262_145, {}, 413, "too_large"),
    ("PUT", "/sendsms", b"", {}, 405, "method_not_allowed"),
    ("DELETE", "/getsms/", b"", {}, 405, "method_not_allowed"),
    ("GET", "/getwa/", b"", {}, 404, "not_found"),
    ("POST", "/health/live", b"", {}, 405, "method_not_allowed"),
    ("GET", "/", b"", {}, 404, "not_found"),
    ("GET", "/sendsms", b"", {"Authorization": "Bearer nobody"}, 403, 1),
]


async def test_every_error_is_json(gateway: Gateway) -> None:
    for method, target, body, headers, status, code in BAD_REQUESTS:
        answer = await gateway.ask(method, target, body=body, headers=headers)
        assert (answer.status, answer.json()["error"]) == (status, code), (method, target)
    assert await gateway.commands() == []


async def test_a_chunked_body_is_read_up_to_its_limit(gateway: Gateway) -> None:
    head = b"POST /sendsms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    form = http.form(apikey=KEY, recipients="+3247123456", message="hi")
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        answer = await connection.raw(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(form), form))
        assert answer.status == 200
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        answer = await connection.raw(head + chunk * 8)
        assert answer.status == 413
        assert answer.json()["error"] == "too_large"


async def test_credentials(gateway: Gateway) -> None:
    for headers, key, status in (
        ({"Authorization": f"Bearer {KEY}"}, None, 200),
        ({"Authorization": f"bearer {KEY}"}, KEY, 200),
        ({"Authorization": "Bearer stale-token"}, KEY, 200),
        ({"Authorization": f"Bearer {KEY}"}, "wrong", 200),
        ({"Authorization": f"Bearer {KEY}"}, OTHER_KEY, 403),
        ({"Authorization": "Basic eDp5"}, KEY, 200),
        ({"Authorization": "Bearer stale-token"}, "wrong", 403),
        ({}, None, 403),
    ):
        target = http.query("/getsms", **({"apikey": key} if key else {}))
        answer = await gateway.ask("GET", target, headers=headers)
        assert answer.status == status, headers
        if status == 403:
            assert answer.json()["result"]["sms"] == []
    assert answer.headers.get("www-authenticate") is None


async def test_a_key_does_what_its_scopes_say(gateway: Gateway) -> None:
    assert (await gateway.get("/getsms", apikey=READING_KEY)).status == 200
    answer = await send(gateway, READING_KEY)
    assert (answer.status, answer.json()["error"]) == (403, 1)
    gateway.auth.accounts[digest("sends")] = Verdict(epoch=0, account=ACCOUNT, scopes=["sms:send"])
    assert (await send(gateway, "sends")).status == 200
    for path in ("/getsms", "/log/sent/sms"):
        assert (await gateway.get(path, apikey="sends")).status == 403


async def test_a_revoked_key_is_refused_at_once(gateway: Gateway, eventually: Eventually) -> None:
    assert (await send(gateway)).status == 200
    gateway.auth.accounts.clear()
    gateway.auth.epoch += 1

    async def refused() -> bool:
        return (await send(gateway)).status == 403

    await eventually(refused)


async def test_documents_and_health(gateway: Gateway, eventually: Eventually) -> None:
    assert (await gateway.get("/health/live")).json() == {"status": "ok", "checks": {}}

    async def ready() -> bool:
        return (await gateway.get("/health/ready")).status == 200

    await eventually(ready)
    document = (await gateway.get("/openapi.json")).json()
    assert {"/sendsms/", "/sendsms", "/getsms/", "/log/sent/sms/", "/health/ready"} <= set(document["paths"])
    page = await gateway.get("/docs")
    assert page.status == 200
    assert b"/sendsms/" in page.body
    assert b"://" not in page.body
