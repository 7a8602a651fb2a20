"""What the gateway tells Prometheus of its edges: templates of paths, and no words of strangers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client
from websockets.exceptions import ConnectionClosed

from services.gateway.asgi import Receive, Scope, Send
from services.gateway.measured import Measured
from shared.contracts import phone
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.support.gateway import KEY, Gateway, running_gateway
from tests.support.http import FORM, form
from tests.support.metrics import metric, series
from tests.support.rows import add_device
from tests.support.waiting import until

REQUESTS = "smsfleet_http_requests_total"


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Gateway]:
    async with running_gateway(settings, nats_client) as running:
        yield running


def answers(route: str, method: str, status: str) -> float:
    return metric(REQUESTS, route=route, method=method, status=status)


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("POST", "/sendsms", "/sendsms", "4xx"),
        ("POST", "/sendsms/", "/sendsms", "4xx"),
        ("GET", "//sendsms/", "/sendsms", "4xx"),
        ("GET", "/health/live", "/health/live", "2xx"),
        ("GET", "/v1/webhooks/0123456789", "/v1/webhooks/{id}", "4xx"),
        ("GET", "/device-in/v1/capability", "/device-in/v1", "4xx"),
        ("GET", "/api/mobile/v1/device", "/api/mobile/v1", "2xx"),
        ("GET", "/phone/v1/socket", "/phone/v1/socket", "4xx"),
        ("GET", "/nowhere/+15551230042", "other", "4xx"),
        ("PROPFIND", "/sendsms/", "/sendsms", "4xx"),
    ],
)
async def test_an_answer_is_counted_by_its_routes_template(
    gateway: Gateway, method: str, path: str, route: str, status: str
) -> None:
    word = method if method != "PROPFIND" else "other"
    before, timed = answers(route, word, status), metric("smsfleet_http_seconds_count", route=route)
    await gateway.ask(method, path)
    assert answers(route, word, status) == before + 1
    assert metric("smsfleet_http_seconds_count", route=route) == timed + 1
    assert not [labels for labels in series(REQUESTS) if labels["method"] == "PROPFIND"]


async def test_accepted_messages_are_counted_one_by_one(gateway: Gateway, pool: Pool) -> None:
    await add_device(pool)
    before, fine = metric("smsfleet_messages_accepted_total"), answers("/sendsms", "POST", "2xx")
    body = form(apikey=KEY, recipients="+15551230041,+15551230042", message="hi")
    assert (await gateway.ask("POST", "/sendsms/", body=body, headers=FORM)).status == 200
    assert metric("smsfleet_messages_accepted_total") == before + 2
    assert answers("/sendsms", "POST", "2xx") == fine + 1


async def test_frames_and_phones_are_counted(gateway: Gateway) -> None:
    def frames(kind: str, direction: str) -> float:
        return metric("smsfleet_phone_frames_total", type=kind, direction=direction)

    before = frames("ping", "in"), frames("pong", "out"), frames("unknown", "in")
    byes = metric("smsfleet_phone_byes_total", code="bad_frame")
    assert metric("smsfleet_phones_connected") == 0
    async with gateway.phone() as there:
        assert metric("smsfleet_phones_connected") == 1
        await there.say(phone.Ping(n=1))
        await there.hear(phone.Pong)
        await there.connection.send('{"type":"sing"}')
        await there.connection.send("no frame")
        await there.hear(phone.Bye)
        with pytest.raises(ConnectionClosed):
            await there.hear(phone.Frame)
    assert (frames("ping", "in"), frames("pong", "out")) == (before[0] + 1, before[1] + 1)
    assert frames("unknown", "in") == before[2] + 2
    assert metric("smsfleet_phone_byes_total", code="bad_frame") == byes + 1

    async def gone() -> bool:
        return metric("smsfleet_phones_connected") == 0

    await until(gone, "the phone is no longer counted")


async def test_the_silence_of_auth_grows_until_it_speaks(gateway: Gateway) -> None:
    async def silent() -> bool:
        return metric("smsfleet_auth_silence_seconds") > 0.5

    async def heard() -> bool:
        return metric("smsfleet_auth_silence_seconds") < 0.3

    gateway.auth.silent = True
    await until(silent, "auth is silent")
    gateway.auth.silent = False
    await until(heard, "auth was heard")


async def test_a_caller_that_hangs_up_first_is_counted_without_a_status() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ConnectionResetError

    async def nothing(*_: object) -> Any:
        raise AssertionError

    before = answers("/gone", "POST", "none")
    with pytest.raises(ConnectionResetError):
        await Measured(app, mounts=["/gone"])({"type": "http", "path": "/gone/1", "method": "POST"}, nothing, nothing)
    assert answers("/gone", "POST", "none") == before + 1
    assert metric("smsfleet_http_seconds_count", route="/gone") == 0
