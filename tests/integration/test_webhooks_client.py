"""What the HTTP client makes of receivers that misbehave, and that it reaches nobody it must not reach."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from services.webhooks.client import Client, Deadlines, Outcome, opened_client
from services.webhooks.targets import Guard, Resolver
from tests.support.hostile import Answer, HostileReceiver

LOOPBACK = Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")])
STRICT = Guard([])


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with opened_client(LOOPBACK, Deadlines(total_s=1.0, connect_s=0.5)) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[HostileReceiver]:
    async with HostileReceiver() as running:
        yield running


async def test_a_body_arrives_as_it_is(client: Client, receiver: HostileReceiver) -> None:
    assert await client.post(receiver.url, b'{"a":"\xc3\xa9"}') == Outcome(200)
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=1%2B1", b'{"a":"\xc3\xa9"}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "10"
    assert request.headers["user-agent"].startswith("SMSFleet-Webhooks/")
    assert not {"transfer-encoding", "cookie", "authorization", "expect"} & set(request.headers)


async def test_connections_are_used_again(client: Client, receiver: HostileReceiver) -> None:
    for _ in range(3):
        assert (await client.post(receiver.url, b"{}")).error is None
    assert receiver.connections == 1


async def test_cookies_are_not_kept(client: Client, receiver: HostileReceiver) -> None:
    receiver.default = Answer(headers={"Set-Cookie": "a=b; Path=/"})
    await client.post(receiver.url, b"{}")
    await client.post(receiver.url, b"{}")
    assert "cookie" not in receiver.requests[1].headers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_a_success(client: Client, receiver: HostileReceiver, status: int) -> None:
    receiver.default = Answer(status)
    assert await client.post(receiver.url, b"{}") == Outcome(status)


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_other_answers_are_failures(client: Client, receiver: HostileReceiver, status: int) -> None:
    receiver.default = Answer(status)
    assert await client.post(receiver.url, b"{}") == Outcome(status, f"It answered HTTP {status}.")


async def test_redirects_are_named_and_not_followed(client: Client, receiver: HostileReceiver) -> None:
    async with HostileReceiver() as other:
        receiver.default = Answer(307, headers={"Location": other.url})
        outcome = await client.post(receiver.url, b"{}")
        assert outcome == Outcome(307, "It answered HTTP 307 (redirects are not followed).")
        assert other.connections == 0


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(behaviour="hang"), Outcome(error="It did not answer in time.")),
        (
            Answer(behaviour="reset"),
            Outcome(error="It closed the connection without an answer.", unreachable=True),
        ),
        (Answer(behaviour="garbage"), Outcome(error="Its answer is not HTTP (ClientResponseError).")),
        (Answer(200, headers={"X": "x" * 20_000}), Outcome(error="Its answer is not HTTP (ClientResponseError).")),
        (Answer(200, "half"), Outcome(200)),
        (Answer(200, "drip"), Outcome(200)),
        (Answer(200, "endless"), Outcome(200)),
        (Answer(500, "drip"), Outcome(500, "It answered HTTP 500.")),
    ],
    ids=lambda value: f"{value.behaviour}-{value.status}" if isinstance(value, Answer) else "",
)
async def test_hostile_receivers_end_within_the_deadline(
    client: Client, receiver: HostileReceiver, answer: Answer, outcome: Outcome
) -> None:
    receiver.default = answer
    async with asyncio.timeout(3):
        assert await client.post(receiver.url, b"{}") == outcome


async def test_a_receiver_that_is_not_there_is_unreachable(client: Client, receiver: HostileReceiver) -> None:
    await receiver.stop()
    outcome = await client.post(receiver.url, b"{}")
    assert outcome.unreachable
    assert outcome.error == "It cannot be reached: Connection refused."


async def test_a_receiver_that_went_away_with_its_connections_is_unreachable(
    client: Client, receiver: HostileReceiver
) -> None:
    await client.post(receiver.url, b"{}")
    await receiver.stop()
    assert (await client.post(receiver.url, b"{}")).unreachable
    await receiver.start()
    assert await client.post(receiver.url, b"{}") == Outcome(200)


async def test_a_name_that_does_not_exist_is_unreachable(client: Client) -> None:
    outcome = await client.post("http://receiver.invalid/", b"{}")
    assert outcome.unreachable


async def test_plain_http_where_tls_is_expected_is_named(client: Client) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    outcome = await client.post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", b"{}")
    server.close()
    assert outcome == Outcome(error="TLS failed: its certificate or its protocol is not acceptable.")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001", "127.1", "0.0.0.0", "１２７.0.0.1"]
)
async def test_no_notation_leads_past_the_guard(receiver: HostileReceiver, host: str) -> None:
    async with opened_client(STRICT, Deadlines(total_s=2.0)) as client:
        outcome = await client.post(f"http://{host}:{receiver.port}/", b"{}")
    assert outcome.error is not None
    assert not outcome.unreachable
    assert receiver.connections == 0


async def test_a_name_that_leads_inside_is_blocked_by_its_address(
    receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inside(host: str, port: int, *_: object) -> list[object]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", inside)
    async with opened_client(STRICT, Deadlines(total_s=2.0)) as client:
        outcome = await client.post(f"http://rebound.example:{receiver.port}/", b"{}")
    assert outcome == Outcome(error="The address is in a network that may not be called.")
    assert receiver.connections == 0


async def test_proxies_of_the_environment_are_not_used(
    client: Client, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HostileReceiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await client.post(receiver.url, b"{}") == Outcome(200)
        assert proxy.connections == 0


async def test_a_silent_name_server_costs_its_deadline_and_no_other_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import threading

    silent = threading.Event()
    real = socket.getaddrinfo

    def sometimes_silent(host: str, *arguments: object) -> object:
        if host == "tarpit.example":
            silent.wait(20)
            raise OSError("at last")
        return real(host, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("services.webhooks.targets.DNS_DEADLINE_S", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", sometimes_silent)
    resolver = Resolver()
    waiting = [asyncio.create_task(resolver.resolve("tarpit.example", 80)) for _ in range(8)]
    found = await resolver.resolve("localhost", 80)
    assert {each["host"] for each in found} <= {"127.0.0.1", "::1"}
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, OSError)
    silent.set()
