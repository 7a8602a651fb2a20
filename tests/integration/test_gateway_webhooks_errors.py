"""What /v1 refuses about webhooks: each as a problem (RFC 9457), none of them an accident of ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from nats.aio.client import Client

from services.gateway.rest import routes
from shared.contracts.rpc.auth import Verdict
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.gateway import Gateway, running_gateway
from tests.support.http import connected
from tests.support.rest import Program, problem
from tests.support.waiting import until
from tests.support.webhooks import World

URL = "https://example.com/sms"
MINE = {"id": "wh_000000000000", "replay_id": "rp_0000000000000000"}


NO_WEBHOOKS: list[tuple[Any, str, str]] = [
    (b"", "invalid", "body: It is missing."),
    (b"{", "invalid", "truncated"),
    (b"[]", "invalid", "body: Expected `object`, got `array`"),
    (b"[" * 100_000, "invalid", "no JSON that can be read"),
    (b'{"url": "\xff"}', "invalid", "no JSON that can be read"),
    (b'{"url": "\\ud800"}', "invalid", "Input data"),
    ({"url": 5}, "invalid", "url: Expected `str`, got `int`"),
    ({}, "invalid", "`url`"),
    ({"url": URL, "colour": 1}, "invalid", "unknown field `colour`"),
    ({"url": URL, "filter": {"colour": 1}}, "invalid", "filter: Object contains unknown field `colour`"),
    ({"url": URL, "x" * 10_000: 1}, "invalid", "unknown field"),
    ({"url": URL, "filter": {"sims": [10**30]}}, "invalid", "filter.sims[0]"),
    ({"url": URL, "max_window": 10**30}, "invalid", "max_window"),
    ({"url": URL, "format": "v3"}, "invalid", "format"),
    ({"url": URL, "auth": {"type": "digest"}}, "invalid", "auth.type"),
    ({"url": URL, "headers": {"host": "x"}}, "invalid_headers", "host"),
    ({"url": URL, "headers": {"X-A": "a\0"}}, "invalid_headers", "X-A"),
    ({"url": URL, "auth": {"type": "bearer", "token": "a b"}}, "invalid_auth", "token"),
    ({"url": URL, "secret": "short"}, "invalid_secret", "whsec_"),
    ({"url": URL, "description": "a\0"}, "invalid_description", "description"),
    ({"url": URL, "classic": {"time_zone": "Mars/Olympus"}}, "invalid_classic", "time zone"),
    ({"url": URL, "filter": {"types": ["sms.sent"]}}, "invalid_filter", "sms.sent"),
    ({"url": "ftp://example.com/"}, "invalid_url", "http"),
    ({"url": "http://10.0.0.1/"}, "invalid_url", "network"),
    ({"url": "http://a\0/"}, "invalid_url", "URL"),
]
"""Bodies, and the code and a part of the detail that each is refused with."""

NO_CHANGES: list[tuple[str, str, Any, str]] = [
    ("PATCH", "", {"format": "v2"}, "invalid"),
    ("PATCH", "", {"url": None}, "invalid"),
    ("POST", "/pause", {"reason": "x" * 257}, "invalid_reason"),
    ("POST", "/rotate", {"overlap_s": -1}, "invalid"),
    ("POST", "/rotate", {"secret": "short"}, "invalid_secret"),
    ("POST", "/test", {"event_type": "sms.sent"}, "invalid_event_type"),
    ("POST", "/replays", {"since": "2026-11-22T10:00:00"}, "invalid"),
    ("POST", "/replays", {"since": "0001-01-01T00:00:00+10:00"}, "invalid_replay"),
    ("POST", "/replays", {"events": ["x"]}, "invalid_replay"),
    ("POST", "/replays", {"types": ["sms.flown"]}, "invalid_replay"),
    ("POST", "/replays", {"states": ["pending"]}, "invalid"),
    ("GET", "/deliveries?states=lost", b"", "invalid"),
    ("GET", "/deliveries?limit=0", b"", "invalid"),
    ("GET", "/deliveries?limit=501", b"", "invalid"),
    ("GET", f"/deliveries?before={'9' * 5000}", b"", "invalid"),
    ("GET", "/deliveries?event=%00", b"", "invalid_event"),
]


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Gateway]:
    async with running_gateway(settings, nats_client) as running:
        yield running


@pytest.fixture
async def program(gateway: Gateway, webhooks: Service, webhooks_world: World) -> Program:
    return Program(gateway, await webhooks_world.account())


async def test_a_webhook_that_cannot_be(program: Program) -> None:
    for body, code, detail in NO_WEBHOOKS:
        told = await program.refused("POST", "/v1/webhooks", body, 400, code)
        assert detail in told["detail"], body
        assert len(told["detail"]) <= 500, body
    assert (await program.done("GET", "/v1/webhooks"))["webhooks"] == []


async def test_a_change_that_cannot_be(program: Program) -> None:
    made = await program.done("POST", "/v1/webhooks", {"url": URL}, 201)
    for method, path, body, code in NO_CHANGES:
        await program.refused(method, f"/v1/webhooks/{made['id']}{path}", body, 400, code)
    shown = await program.done("GET", f"/v1/webhooks/{made['id']}")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    for after in ("x", "%00", "-1.0", f"1.{'9' * 40}"):
        await program.refused("GET", f"/v1/events?after={after}", b"", 400, "invalid_cursor")


async def test_what_there_is_not(program: Program) -> None:
    for id in ("wh_000000000000", "wh_%00", "%ff", "..", "%d9%a1", "x" * 3000):
        await program.refused("GET", f"/v1/webhooks/{id}", b"", 404, "not_found")
        await program.refused("GET", f"/v1/webhooks/{id}/deliveries", b"", 404, "not_found")
    for number in ("1", "-1", "x", "9" * 30, "9" * 5000):
        await program.refused("GET", f"/v1/deliveries/{number}/attempts", b"", 404, "not_found")


async def test_the_wrong_method_and_too_large_a_body(program: Program) -> None:
    await program.refused("PUT", "/v1/webhooks", {"url": URL}, 405, "method_not_allowed")
    await program.refused("POST", "/v1/webhooks", {"url": URL, "description": "x" * 300_000}, 413, "too_large")


async def test_a_body_that_does_not_come(program: Program, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "BODY_DEADLINE_S", 0.2)
    async with asyncio.timeout(10), connected(gateway.url) as connection:
        head = b"POST /v1/webhooks HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n"
        answer = await connection.raw(head + b"Authorization: Bearer %b\r\n\r\n{" % program.key.encode())
    assert answer.status == 408, answer
    problem(answer, "request_timeout")


async def test_nobody_reaches_anothers_webhooks(program: Program, gateway: Gateway, webhooks_world: World) -> None:
    stranger = Program(gateway, await webhooks_world.account("other"))
    made = await program.done("POST", "/v1/webhooks", {"url": URL}, 201)
    path = f"/v1/webhooks/{made['id']}"
    await program.done("POST", f"{path}/pause")
    event = await webhooks_world.text(await webhooks_world.pool.fetchval("select min(id) from accounts"))
    await webhooks_world.publish(event)
    replay = (await program.done("POST", f"{path}/replays", {}, 201))["replay"]

    async def delivery() -> Any:
        return (await program.done("GET", f"{path}/deliveries"))["deliveries"]

    (made_delivery,) = await until(delivery, "the delivery is made")
    before = await program.done("GET", path) | {"lag_s": None}
    bodies = {"patch": {"description": "mine"}, "post": {}}
    for method, template in operations(await gateway.ask("GET", "/openapi.json")):
        if "{" not in template:
            continue
        own = {
            "id": made_delivery["id"] if "deliver" in template.split("/")[2] else made["id"],
            "replay_id": replay["id"],
        }
        body = bodies.get(method, b"") if "enable" not in template else b""
        await stranger.refused(method.upper(), template.format(**own), body, 404, "not_found")
    assert (await stranger.done("GET", "/v1/webhooks"))["webhooks"] == []
    assert (await stranger.done("GET", "/v1/events"))["events"] == []
    assert await program.done("GET", path) | {"lag_s": None} == before


async def test_every_route_wants_its_scope(gateway: Gateway) -> None:
    document = await gateway.ask("GET", "/openapi.json")
    powerless = Program(gateway, 7, [])
    asked = 0
    for method, template in operations(document):
        path = template.format(**MINE | ({"id": "1"} if "/deliveries/{" in template else {}))
        scope = "sms:read" if path == "/v1/events" else "webhooks:manage"
        nobody = await gateway.ask(method.upper(), path)
        assert (nobody.status, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="smsfleet"'), nobody
        answer = await powerless.ask(method.upper(), path)
        assert answer.status == 403, (method, path, answer)
        assert f'scope="{scope}"' in answer.headers["www-authenticate"]
        problem(answer, "insufficient_scope")
        asked += 1
    assert asked >= 17
    gateway.auth.accounts[digest("suspended")] = Verdict(epoch=0, account=9, subject="key_9", active=False)
    answer = await gateway.ask("GET", "/v1/webhooks?apikey=suspended")
    assert answer.status == 403, answer


async def test_while_webhooks_is_away(gateway: Gateway) -> None:
    program = Program(gateway, 7)
    for method, template in operations(await gateway.ask("GET", "/openapi.json")):
        path = template.format(**MINE | ({"id": "1"} if "/deliveries/{" in template else {}))
        body = {"url": URL} if path == "/v1/webhooks" else {} if method in ("post", "patch") else b""
        answer = await program.ask(method.upper(), path, body)
        assert answer.status == 503, (method, path, answer)
        assert int(answer.headers["retry-after"]) >= 1
        problem(answer, "unavailable")


def operations(document: Any) -> Iterator[tuple[str, str]]:
    """Method and path of each operation about webhooks."""
    for path, item in json.loads(document.body)["paths"].items():
        if path.startswith("/v1/") and path != "/v1/account":
            for method in item:
                yield method, path
