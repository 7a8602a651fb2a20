"""What the HTTP client sends, and what it makes of the answers of receivers that behave."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ThreadedResolver

from services.webhooks.client import MAX_KEPT_CHARS, Client, Deadlines, opened_client
from services.webhooks.targets import Guard
from services.webhooks.wire import Connector, TlsContext
from tests.support.hostile import Answer, HostileReceiver

LOOPBACK = Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")])


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with opened_client(LOOPBACK, Deadlines(total_s=1.0, connect_s=0.5)) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[HostileReceiver]:
    async with HostileReceiver() as running:
        yield running


async def test_a_body_arrives_as_it_is(client: Client, receiver: HostileReceiver) -> None:
    outcome = await client.post(receiver.url, {"webhook-id": "e1"}, b'{"a":"\xc3\xa9"}')
    assert (outcome.status, outcome.error, outcome.detail) == (200, None, None)
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=1%2B1", b'{"a":"\xc3\xa9"}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "10"
    assert request.headers["user-agent"] == f"SMSFleet/{version()}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["webhook-id"] == "e1"
    assert not {"transfer-encoding", "cookie", "authorization", "expect"} & set(request.headers)


def version() -> str:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    return str(project["version"])


async def test_a_caller_s_headers_replace_ours_but_not_the_framing(client: Client, receiver: HostileReceiver) -> None:
    given = {"user-agent": "me", "Authorization": "Bearer x", "Content-Length": "1", "Host": "other.example"}
    await client.post(receiver.url, {**given, "Transfer-Encoding": "chunked"}, b"{}")
    (request,) = receiver.requests
    assert (request.headers["user-agent"], request.headers["authorization"]) == ("me", "Bearer x")
    assert (request.headers["content-length"], request.headers["host"]) == ("2", f"127.0.0.1:{receiver.port}")
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b"])
async def test_a_header_cannot_hold_another(client: Client, receiver: HostileReceiver, value: str) -> None:
    assert (await client.post(receiver.url, {"X-Custom": value}, b"{}")).error == "blocked"
    assert receiver.requests == []


async def test_an_answer_is_told_with_its_times(client: Client, receiver: HostileReceiver) -> None:
    receiver.default = Answer(headers={"X-Request-Id": "7" * 2000, "Set-Cookie": "session=secret"})
    outcome = await client.post(receiver.url.replace("127.0.0.1", "localhost"), {}, b"{}")
    assert outcome.response_head == b"ok"
    assert outcome.response_headers == [("X-Request-Id", "7" * MAX_KEPT_CHARS), ("Content-Length", "2")]
    assert outcome.remote_address == "127.0.0.1"
    phases = (outcome.dns_ms, outcome.connect_ms, outcome.first_byte_ms)
    assert sum(each for each in phases if each is not None) <= outcome.duration_ms + 2
    assert None not in phases
    assert outcome.tls_ms is None


async def test_connections_are_used_again(client: Client, receiver: HostileReceiver) -> None:
    await client.post(receiver.url, {}, b"{}")
    for _ in range(2):
        outcome = await client.post(receiver.url, {}, b"{}")
        assert (outcome.error, outcome.remote_address, outcome.connect_ms) == (None, "127.0.0.1", None)
        assert outcome.first_byte_ms is not None
    assert receiver.connections == 1


async def test_idle_connections_are_bounded() -> None:
    connector = Connector(LOOPBACK, ThreadedResolver(), TlsContext(), connections=4, idle_hosts=2)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        receivers = [await stack.enter_async_context(HostileReceiver()) for _ in range(4)]
        client = Client(session, Deadlines())
        for receiver in (*receivers, receivers[3], receivers[0]):
            assert (await client.post(receiver.url, {}, b"{}")).error is None
        assert [receiver.connections for receiver in receivers] == [2, 1, 1, 1]


async def test_cookies_are_not_kept(client: Client, receiver: HostileReceiver) -> None:
    receiver.default = Answer(headers={"Set-Cookie": "a=b; Path=/"})
    await client.post(receiver.url, {}, b"{}")
    await client.post(receiver.url, {}, b"{}")
    assert "cookie" not in receiver.requests[1].headers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_a_success(client: Client, receiver: HostileReceiver, status: int) -> None:
    receiver.default = Answer(status)
    outcome = await client.post(receiver.url, {}, b"{}")
    assert (outcome.status, outcome.error) == (status, None)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "status"), (404, "status"), (410, "gone"), (429, "status"), (500, "status"), (304, "redirect")],
)
async def test_other_answers_are_failures(client: Client, receiver: HostileReceiver, status: int, error: str) -> None:
    receiver.default = Answer(status)
    outcome = await client.post(receiver.url, {}, b"{}")
    assert (outcome.status, outcome.error) == (status, error)
    assert f"HTTP {status}" in str(outcome.detail)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("٣", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
        ("1 Jan 99999 0:0:0 GMT", None),
    ],
)
async def test_a_wish_to_wait_is_told(
    client: Client, receiver: HostileReceiver, value: str, seconds: float | None
) -> None:
    receiver.default = Answer(429, headers={"Retry-After": value.encode().decode("latin-1")})
    assert (await client.post(receiver.url, {}, b"{}")).retry_after_s == seconds


async def test_a_wish_to_wait_may_be_a_date(client: Client, receiver: HostileReceiver) -> None:
    for offset_s, low, high in ((90, 80, 90), (-90, 0, 0)):
        at = datetime.now(UTC) + timedelta(seconds=offset_s)
        receiver.default = Answer(503, headers={"Retry-After": format_datetime(at, usegmt=True)})
        waited = (await client.post(receiver.url, {}, b"{}")).retry_after_s
        assert waited is not None
        assert low <= waited <= high


async def test_a_success_wishes_for_nothing(client: Client, receiver: HostileReceiver) -> None:
    receiver.default = Answer(200, headers={"Retry-After": "9"})
    assert (await client.post(receiver.url, {}, b"{}")).retry_after_s is None


async def test_a_receiver_that_is_not_there_is_told(client: Client, receiver: HostileReceiver) -> None:
    await receiver.stop()
    outcome = await client.post(receiver.url, {}, b"{}")
    assert (outcome.error, outcome.detail) == ("connect", "It cannot be reached: Connection refused.")


async def test_a_receiver_that_went_away_with_its_connections_is_found_again(
    client: Client, receiver: HostileReceiver
) -> None:
    await client.post(receiver.url, {}, b"{}")
    await receiver.stop()
    assert (await client.post(receiver.url, {}, b"{}")).error in ("connect", "reset")
    await receiver.start()
    assert (await client.post(receiver.url, {}, b"{}")).error is None


async def test_proxies_of_the_environment_are_not_used(
    client: Client, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HostileReceiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await client.post(receiver.url, {}, b"{}")).error is None
        assert proxy.connections == 0
