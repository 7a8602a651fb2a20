"""Receivers that misbehave cost their own attempt, within its deadline and bounds, and nobody else's."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
import trustme

from services.webhooks.client import MAX_RESPONSE_BYTES, Client, Deadlines, Outcome, opened_client
from services.webhooks.targets import Guard
from services.webhooks.wire import TlsContext
from tests.support.hostile import Answer, HostileReceiver

LOOPBACK = Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")])
QUICK = Deadlines(total_s=0.8, connect_s=0.4, lookup_s=0.3, rest_s=0.2)
NOT_HTTP = "Its answer is not HTTP, or its head is too long."

HOSTILE = [
    (Answer(behaviour="hang"), "timeout", None, "It did not answer in time."),
    (Answer(behaviour="drip_head"), "timeout", None, "It did not answer in time."),
    (Answer(behaviour="interim"), "bad_response", None, NOT_HTTP),
    (Answer(behaviour="long_line"), "bad_response", None, NOT_HTTP),
    (Answer(behaviour="many_headers"), "bad_response", None, NOT_HTTP),
    (Answer(headers={"X": "x" * 20_000}), "bad_response", None, NOT_HTTP),
    (Answer(behaviour="garbage"), "bad_response", None, NOT_HTTP),
    (Answer(behaviour="reset"), "reset", None, "It closed the connection without an answer."),
    (Answer(behaviour="switch"), "status", 101, "It answered HTTP 101."),
    (Answer(behaviour="drip"), None, 200, None),
    (Answer(behaviour="endless"), None, 200, None),
    (Answer(behaviour="half"), None, 200, None),
    (Answer(behaviour="abort_body"), None, 200, None),
    (Answer(behaviour="gzip_bomb"), None, 200, None),
    (Answer(500, behaviour="drip"), "status", 500, "It answered HTTP 500."),
    (Answer(503, behaviour="abort_body"), "status", 503, "It answered HTTP 503."),
]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def client(authority: trustme.CA) -> AsyncIterator[Client]:
    trusted = TlsContext()
    authority.configure_trust(trusted)
    async with opened_client(LOOPBACK, QUICK, tls=trusted) as opened:
        yield opened


@pytest.mark.parametrize(
    ("answer", "error", "status", "detail"), HOSTILE, ids=lambda each: getattr(each, "behaviour", None)
)
async def test_each_ends_within_its_deadline_with_a_name(
    client: Client, answer: Answer, error: str | None, status: int | None, detail: str | None
) -> None:
    async with asyncio.timeout(5), HostileReceiver(answer) as receiver:
        outcome = await client.post(receiver.url, {}, b"{}")
    assert (outcome.error, outcome.status, outcome.detail) == (error, status, detail)
    assert outcome.duration_ms < 2000
    assert len(outcome.response_head) <= MAX_RESPONSE_BYTES
    assert receiver.connections == 1


async def test_a_long_answer_is_kept_to_its_bound(client: Client) -> None:
    async with HostileReceiver(Answer(behaviour="endless")) as receiver:
        outcome = await client.post(receiver.url, {}, b"{}")
    assert outcome.response_head == b"x" * MAX_RESPONSE_BYTES


async def test_the_rest_of_a_slow_answer_is_not_waited_for() -> None:
    patient = Deadlines(total_s=20, rest_s=0.2)
    async with HostileReceiver(Answer(behaviour="drip")) as receiver, opened_client(LOOPBACK, patient) as client:
        outcome = await client.post(receiver.url, {}, b"{}")
    assert (outcome.error, set(outcome.response_head)) == (None, {ord("x")})
    assert outcome.duration_ms < 5000


async def test_a_compressed_answer_is_not_unpacked(client: Client) -> None:
    async with HostileReceiver(Answer(behaviour="gzip_bomb")) as receiver:
        outcome = await client.post(receiver.url, {}, b"{}")
    assert outcome.response_head.startswith(b"\x1f\x8b")
    assert ("Content-Encoding", "gzip") in outcome.response_headers


async def test_a_connection_that_was_cut_short_is_not_used_again(client: Client) -> None:
    async with HostileReceiver() as receiver:
        for behaviour in ("endless", "drip", "half", "gzip_bomb", "switch"):
            receiver.answers = [Answer(behaviour=behaviour)]
            await client.post(receiver.url, {}, b"{}")
            assert (await client.post(receiver.url, {}, b"{}")).response_head == b"ok"


@pytest.mark.parametrize(
    "sent", [b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, b"HTTP/1.1 200 OK\r\n" * 1000, b"\0" * 99_999, b""]
)
async def test_an_answer_before_the_question_is_no_answer(client: Client, sent: bytes) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        for _ in range(10):
            outcome = await client.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"{}")
            assert outcome.status is None
            assert outcome.error in ("bad_response", "reset")


async def test_neighbours_do_not_notice() -> None:
    """All of them at once, several times over, beside healthy receivers over the same client."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(opened_client(LOOPBACK, Deadlines(total_s=1.5), connections=0))
        hostile = [await stack.enter_async_context(HostileReceiver(answer)) for answer, *_ in HOSTILE]
        healthy = await stack.enter_async_context(HostileReceiver())
        attacks = [asyncio.create_task(client.post(each.url, {}, b"{}")) for each in hostile for _ in range(3)]
        outcomes = []
        while not all(attack.done() for attack in attacks):
            outcomes.append(await client.post(healthy.url, {}, b"{}"))
    assert len(outcomes) > 20
    assert {outcome.error for outcome in outcomes} == {None}
    assert sorted(outcome.duration_ms for outcome in outcomes)[len(outcomes) // 2] < 250


async def test_a_receiver_that_accepts_nothing_costs_the_connection_s_deadline(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        port = full.getsockname()[1]
        for _ in range(3):
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        outcome = await client.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert (outcome.error, outcome.detail) == ("connect", "It did not accept the connection in time.")
    assert (outcome.remote_address, outcome.connect_ms) == ("127.0.0.1", None)
    assert 300 < outcome.duration_ms < 2000


async def test_redirects_are_named_and_not_followed(client: Client) -> None:
    async with HostileReceiver() as other, HostileReceiver() as receiver:
        for location, told in (
            (other.url, f"to http://127.0.0.1:{other.port}"),
            ("/hook", f"to http://127.0.0.1:{receiver.port}"),
            ("http://user:password@localhost/?token=1", "to http://localhost"),
            ("http://[::1", "to nowhere"),
        ):
            receiver.default = Answer(307, headers={"Location": location})
            outcome = await client.post(receiver.url, {}, b"{}")
            assert (outcome.error, outcome.status) == ("redirect", 307)
            assert outcome.detail == f"It redirects {told} (HTTP 307); that is not followed."
        assert other.connections == 0
        assert len(receiver.requests) == 4


def certified(authority: trustme.CA, name: str, days: int = 1) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days)).configure_cert(context)
    return context


async def over_tls(client: Client, context: ssl.SSLContext) -> Outcome:
    async with HostileReceiver(tls=context) as receiver:
        outcome = await client.post(receiver.url, {}, b"{}")
        assert len(receiver.requests) == (outcome.error is None)
    return outcome


async def test_a_valid_certificate_is_accepted(client: Client, authority: trustme.CA) -> None:
    outcome = await over_tls(client, certified(authority, "127.0.0.1"))
    assert (outcome.status, outcome.error) == (200, None)
    assert outcome.tls_ms is not None


async def test_a_bad_certificate_is_refused_before_anything_is_told(client: Client, authority: trustme.CA) -> None:
    for context, why in (
        (certified(trustme.CA(), "127.0.0.1"), "unable to get local issuer certificate"),
        (certified(authority, "127.0.0.1", days=-1), "certificate has expired"),
        (certified(authority, "other.example"), "IP address mismatch"),
    ):
        outcome = await over_tls(client, context)
        assert outcome.error == "tls"
        assert why in str(outcome.detail)


async def test_a_receiver_without_a_common_cipher_is_named(client: Client, authority: trustme.CA) -> None:
    strange = certified(authority, "127.0.0.1")
    strange.set_ciphers("AES128-SHA")
    strange.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await over_tls(client, strange)).error == "tls"


async def test_a_receiver_without_tls_is_named(client: Client) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        outcome = await client.post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"{}")
    assert outcome.error == "tls"


async def test_a_handshake_without_end_costs_the_connection_s_deadline(client: Client) -> None:
    async with HostileReceiver() as receiver:
        outcome = await client.post(receiver.url.replace("http:", "https:"), {}, b"{}")
    assert (outcome.error, outcome.detail) == ("tls", "The TLS handshake did not end in time.")
    assert 300 < outcome.duration_ms < 2000
