"""The lists beside messages, and the switches for callers that need the commercial service's older ways."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.support import http
from tests.support.gateway import DEVICE, KEY, OTHER_ACCOUNT, OTHER_KEY, Gateway, running_gateway, send
from tests.support.rows import add_device

ORIGIN = "https://shop.example"


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def test_the_accounts_phones(gateway: Gateway, pool: Pool) -> None:
    await add_device(pool, "e" * 21)
    await add_device(pool, "o" * 21, OTHER_ACCOUNT)
    await add_device(pool, "x" * 21)
    await pool.execute("update devices set deleted_at = now() where id = $1", "x" * 21)
    await pool.execute(
        """
        update devices set name = 'Old phone', software = 'agent/1', closed_at = now(), created_at = now() + '1s',
            last_seen_at = '2026-03-20 21:07:44Z'
        where id = $1
        """,
        "e" * 21,
    )
    await pool.execute(
        "insert into sims (device_id, slot, number) values ($1, 1, null), ($1, 2, '+15550002')", "e" * 21
    )
    said = (await gateway.get("/gateway/mobile/list", apikey=KEY)).json()
    assert "error" not in said
    assert (said["success"], said["connected_now"], said["connected_limit"], said["connected_available"]) == (
        True,
        1,
        10_000,
        9_999,
    )
    assert said["result"] == {"error": 0, "mobiles": said["items"]}
    assert [item["sid"] for item in said["items"]] == [DEVICE, "e" * 21]
    assert said["items"][1] == {
        "sid": "e" * 21,
        "sIdentifiant": "e" * 21,
        "label": "Old phone",
        "online": False,
        "battery": None,
        "version": "agent/1",
        "date": "2026-03-20 21:07:44",
        "phone": "+15550002",
    }
    for parameters, sids in (
        ({"sid": DEVICE}, [DEVICE]),
        ({"sid": DEVICE[:20]}, []),
        ({"sid": "o" * 21}, []),
        ({"search": "old PH"}, ["e" * 21]),
        ({"search": "03-20 21"}, ["e" * 21]),
        ({"search": "agent"}, ["e" * 21]),
        ({"search": "ddd"}, [DEVICE]),
        ({"search": "\0"}, []),
        ({"sid": DEVICE, "search": "old"}, []),
    ):
        said = (await gateway.get("/gateway/mobile/list/", apikey=KEY, **parameters)).json()
        assert [item["sid"] for item in said["items"]] == sids, parameters
        assert said["filters"] == {"sid": None, "search": None} | parameters
    said = (await gateway.get("/gateway/mobile/list/", apikey=OTHER_KEY)).json()
    assert [item["sid"] for item in said["items"]] == ["o" * 21]


async def test_calls_and_synchronisation_are_empty(gateway: Gateway) -> None:
    for kind in ("missed", "incoming", "outgoing"):
        said = (await gateway.get(f"/call/{kind}/list/", apikey=KEY, limit=20, offset=3)).json()
        assert said == {"success": True, "offset": 3, "limit": 20, "count": 0, "data": []}
    assert (await gateway.get("/call/missed/list", apikey=KEY, limit=0)).json()["error"] == "invalid_limit"
    said = (await gateway.get("/getwa/synchronisation", apikey=KEY)).json()
    assert "error" not in said
    assert said["result"]["error"] == "0"
    assert all(isinstance(value, str) for value in said["result"].values())


async def test_other_paths_of_the_commercial_service(gateway: Gateway) -> None:
    for path in ("/getwa/", "/notification/list/", "/whatsapp/checknumber/", "/resendwa/", "/log/sent/frommobile/"):
        answer = await gateway.get(path, apikey=KEY)
        assert (answer.status, answer.json()["result"]["error"]) == (404, "not_found"), path


async def test_errors_with_status_200(settings: ServiceSettings, nats_client: Client, pool: Pool) -> None:
    await add_device(pool)
    async with running_gateway(settings, nats_client, compat_http_200_errors=True) as gateway:
        for path, code in (
            ("/sendsms?apikey=wrong", 1),
            (f"/sendsms?apikey={KEY}&message=a", "missing_recipients"),
            (f"/deletesms?apikey={KEY}", "missing_selector"),
            (f"/getsms?apikey={KEY}&limit=x", "invalid_limit"),
        ):
            answer = await gateway.ask("GET", path)
            assert (answer.status, answer.json()["error"], answer.json()["result"]["error"]) == (200, code, code)
        assert (await gateway.ask("PUT", "/sendsms")).status == 200
        assert (await gateway.ask("GET", "/nowhere")).status == 404
        assert (await send(gateway)).json()["result"]["error"] == 0


async def preflight(gateway: Gateway, origin: str) -> http.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return await gateway.ask("OPTIONS", "/sendsms/", headers=headers)


async def test_browsers_are_let_in_only_where_told(
    settings: ServiceSettings, nats_client: Client, gateway: Gateway
) -> None:
    assert (await preflight(gateway, ORIGIN)).status == 405
    answer = await gateway.ask("GET", "/getsms", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    for setting, allowed in (("*", "*"), (f"https://other.example, {ORIGIN}/", ORIGIN)):
        async with running_gateway(settings, nats_client, cors_origins=setting) as told:
            answer = await preflight(told, ORIGIN)
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, allowed)
            assert "idempotency-key" in answer.headers["access-control-allow-headers"]
            answer = await told.ask("GET", f"/getsms?apikey={KEY}", headers={"Origin": ORIGIN})
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, allowed)
            answer = await told.ask("GET", "/getsms", headers={"Origin": ORIGIN})
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (403, allowed)
            stranger = await told.ask("GET", f"/getsms?apikey={KEY}", headers={"Origin": "https://evil.example"})
            assert ("access-control-allow-origin" in stranger.headers) == (setting == "*")
            plain = await told.ask("GET", f"/getsms?apikey={KEY}")
            assert "access-control-allow-origin" not in plain.headers


async def test_what_is_no_http_is_answered_in_json(gateway: Gateway) -> None:
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        answer = await connection.raw(b"GET /sendsms?message=a b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (answer.status, answer.json()["error"]) == (400, "bad_request")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_bytes_behind_a_request_do_not_take_its_answer(gateway: Gateway) -> None:
    target = http.query("/sendsms/", apikey=KEY, recipients="+3247123456", message="hello")
    request = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nmessage=too+late".encode()
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        answer = await connection.raw(request)
    assert (answer.status, answer.json()["result"]["sent"], answer.headers["connection"]) == (200, "1", "close")
    assert len(await gateway.commands()) == 1
    broken = b"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n"
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        answer = await connection.raw(broken)
    assert (answer.status, answer.json()["error"]) == (400, "bad_request")
