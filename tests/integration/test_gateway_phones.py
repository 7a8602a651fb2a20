"""The native phone protocol at the gateway's end, on real NATS, with the dispatcher and auth played."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from services.gateway.phones.admittance import Admitted
from services.gateway.phones.session import Means, Session
from services.gateway.phones.wire import Wire
from shared.bus.connection import settled
from shared.bus.publisher import Publisher
from shared.bus.rpc import RpcClient
from shared.contracts import phone, registry
from shared.contracts.reports import AttemptReported, TextReceived
from shared.contracts.rpc.phones import CloseSession, Lease, OpenSession, SessionOpened
from shared.errors import Forbidden, StaleSession, Unavailable
from shared.model.ids import MessageId, attempt_id
from shared.runtime.settings import ServiceSettings
from tests.conftest import Eventually
from tests.support import http
from tests.support.gateway import (
    ACCOUNT,
    DEVICE,
    ENROLMENT_KEY,
    NEW_DEVICE,
    Gateway,
    Phone,
    hello,
    running_gateway,
    stream_items,
)

MESSAGE = MessageId(bytes(range(20)))
JOB = phone.Job(attempt=attempt_id(MESSAGE, 1), sim=1, number="+1555", text="hi", valid_until_ms=10**13)


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Gateway]:
    async with running_gateway(settings, nats_client) as running:
        yield running


async def closed(there: Phone) -> None:
    with pytest.raises(ConnectionClosed):
        await there.hear(phone.Frame)


async def test_a_token_opens_a_session(gateway: Gateway) -> None:
    gateway.dispatcher.again = [JOB]
    async with gateway.phone(software="test/1", channels=["sms", "wa"]) as there:
        assert there.welcome is not None
        assert (there.welcome.device, there.welcome.session, there.welcome.token) == (DEVICE, 11, None)
        assert (await there.hear(phone.Jobs)).jobs == [JOB]
        (opened,) = gateway.dispatcher.of(OpenSession)
        assert (opened.account, opened.device, opened.journal, opened.protocol) == (ACCOUNT, DEVICE, "j1", "socket")
        assert (opened.software, opened.channels, opened.approved) == ("test/1", ["sms", "wa"], False)
        assert [sim.slot for sim in opened.sims] == [1, 2]


async def test_an_enrolment_key_gives_a_token_once(gateway: Gateway) -> None:
    async with gateway.phone(token=None, enrolment_key=ENROLMENT_KEY) as there:
        assert there.welcome is not None
        assert (there.welcome.device, there.welcome.token) == (NEW_DEVICE, "new token")
        (opened,) = gateway.dispatcher.of(OpenSession)
        assert opened.approved


async def test_those_who_may_not_come_in_hear_why(gateway: Gateway) -> None:
    for first, code, retry_after_s in (
        (hello(token="wrong"), "unauthorized", 5.0),
        (hello(token=None, enrolment_key="wrong"), "unauthorized", None),
        (hello(version=2), "bad_version", 300.0),
        (phone.Ping(n=1), "bad_frame", 1.0),
    ):
        async with gateway.socket() as there:
            await there.say(first)
            bye = await there.hear(phone.Bye)
            assert (bye.code, bye.retry_after_s) == (code, retry_after_s)
            await closed(there)
    async with gateway.socket() as there:
        await there.connection.send("nonsense")
        assert (await there.hear(phone.Bye)).code == "bad_frame"
    async with gateway.socket() as there:
        await there.connection.send(b"\x00")
        assert (await there.hear(phone.Bye)).code == "bad_frame"
    gateway.dispatcher.error = Forbidden("removed")
    async with gateway.socket() as there:
        await there.say(hello())
        assert (await there.hear(phone.Bye)).code == "unauthorized"


async def test_nothing_is_enrolled_while_the_dispatcher_is_away(gateway: Gateway) -> None:
    await gateway.dispatcher.leave()
    for first in (hello(), hello(token=None, enrolment_key=ENROLMENT_KEY)):
        async with gateway.socket() as there:
            await there.say(first)
            bye = await there.hear(phone.Bye)
            assert (bye.code, bye.retry_after_s) == ("unavailable", 2.0)
    assert gateway.auth.enrolments == 0
    await gateway.dispatcher.start()
    await gateway.auth.leave()
    async with gateway.socket() as there:
        await there.say(hello())
        assert (await there.hear(phone.Bye)).code == "unavailable"


async def test_ready_take_and_wake(gateway: Gateway, nats_client: Client) -> None:
    async with gateway.phone() as there:
        await there.say(phone.Ready(places={1: 2, 2: 2}))
        assert (await there.hear(phone.Jobs)).jobs == []
        gateway.dispatcher.jobs = [JOB]
        for _ in range(3):
            await nats_client.publish(registry.wake_subject(DEVICE))
        await settled(nats_client)
        await there.hear(phone.Wake)
        await there.say(phone.Ready(places={1: 2, 2: 2}, held=["x"]))
        assert (await there.hear(phone.Jobs)).jobs == [JOB], "one wake is out at most, until the phone asks"
        lease = gateway.dispatcher.of(Lease)[-1]
        assert (lease.session, lease.places, lease.held) == (11, {1: 2, 2: 2}, ["x"])
        gateway.dispatcher.refused = {"b"}
        await there.say(phone.Take(seq=5, attempts=["a", "b"]))
        taken = await there.hear(phone.Taken)
        assert (taken.seq, taken.attempts) == (5, ["a"])
        await nats_client.publish(registry.wake_subject(DEVICE))
        await there.hear(phone.Wake)
        await there.say(phone.Ping(n=3))
        assert (await there.hear(phone.Pong)).n == 3


async def test_a_take_that_nobody_answers_is_not_answered(gateway: Gateway) -> None:
    async with gateway.phone() as there:
        gateway.dispatcher.error = Unavailable()
        await there.say(phone.Take(seq=5, attempts=["a"]))
        await there.say(phone.Ready(places={1: 1}))
        assert (await there.hear(phone.Jobs)).jobs == [], "always answered"
        gateway.dispatcher.error = None
        await there.hear(phone.Wake), "and asked again soon"
        await there.say(phone.Take(seq=6, attempts=["a"]))
        assert (await there.hear(phone.Taken)).seq == 6


async def test_a_take_does_not_wait_for_a_lease(gateway: Gateway) -> None:
    async with gateway.phone() as there:
        gateway.dispatcher.silent = {Lease}
        for _ in range(5):
            await there.say(phone.Ready(places={1: 1}))
        await there.say(phone.Take(seq=6, attempts=["a"]))
        assert (await there.hear(phone.Taken)).seq == 6


async def test_what_is_acknowledged_is_on_the_stream(gateway: Gateway, nats_client: Client) -> None:
    async with gateway.phone() as there:
        reports = [
            phone.AttemptReport(attempt=JOB.attempt, state="sent", at_ms=1_774_040_864_000),
            phone.AttemptReport(attempt="nonsense", state="sent", at_ms=0),
        ]
        await there.say(phone.Report(seq=1, reports=reports))
        assert (await there.hear(phone.Ack)).seq == 1
        (item,) = await stream_items(nats_client, "REPORTS")
        assert msgspec.msgpack.decode(item, type=AttemptReported) == AttemptReported(
            account=ACCOUNT, device=DEVICE, message=MESSAGE, number=1, state="sent", at=1_774_040_864.0
        )
        text = phone.ReceivedText(
            id="7", sim=1, number="+1555", text="a\0b", at_ms=1_774_040_864_000, utc_offset_min=60
        )
        await there.say(phone.Received(seq=2, texts=[text]))
        assert (await there.hear(phone.Ack)).seq == 2
        received = msgspec.msgpack.decode((await stream_items(nats_client, "REPORTS"))[1], type=TextReceived)
        assert (received.account, received.device, received.text, received.utc_offset_min) == (
            ACCOUNT,
            DEVICE,
            "a\ufffdb",
            60,
        )
        await there.say(phone.Report(seq=3, reports=[]))
        assert (await there.hear(phone.Ack)).seq == 3


async def test_what_is_not_on_the_stream_is_not_acknowledged(
    gateway: Gateway, nats_client: Client, eventually: Eventually
) -> None:
    jetstream = nats_client.jetstream()
    config = (await jetstream.stream_info("REPORTS")).config
    frame = phone.Report(seq=1, reports=[phone.AttemptReport(attempt=JOB.attempt, state="sent", at_ms=0)])
    async with gateway.phone() as there:
        try:
            await jetstream.update_stream(config.evolve(max_bytes=1))
            with capture_logs() as logs:
                await there.say(frame)

                async def refused() -> bool:
                    return any(entry["event"] == "report not kept" for entry in logs)

                await eventually(refused)
        finally:
            await jetstream.update_stream(config)
        await there.say(msgspec.structs.replace(frame, seq=2))
        assert (await there.hear(phone.Ack)).seq == 2
    assert (await gateway.get("/health/live")).status == 200


async def test_the_newest_connection_of_a_device_wins(gateway: Gateway) -> None:
    async with gateway.phone() as older, gateway.phone() as newer:
        assert (await older.hear(phone.Bye)).code == "replaced"
        await closed(older)
        await newer.say(phone.Ping(n=1))
        await newer.hear(phone.Pong)


async def test_a_stale_session_ends(gateway: Gateway) -> None:
    for frame in (phone.Ready(places={1: 1}), phone.Take(seq=1, attempts=["a"])):
        async with gateway.phone() as there:
            gateway.dispatcher.error = StaleSession()
            await there.say(frame)
            assert (await there.hear(phone.Bye)).code == "stale_session"
            gateway.dispatcher.error = None


async def test_a_phone_that_leaves_gives_its_session_back(gateway: Gateway, eventually: Eventually) -> None:
    async with gateway.phone():
        pass

    async def given_back() -> bool:
        return gateway.dispatcher.of(CloseSession) == [CloseSession(account=ACCOUNT, device=DEVICE, session=11)]

    await eventually(given_back)


async def test_frames_out_of_bounds_end_the_connection(gateway: Gateway) -> None:
    async with gateway.phone() as there:
        await there.say(phone.Take(seq=1, attempts=["x"] * 257))
        assert (await there.hear(phone.Bye)).code == "bad_frame"
    async with gateway.phone() as there:
        await there.connection.send("x" * (phone.MAX_FRAME_BYTES + 1))
        await closed(there)


async def test_phones_hear_that_the_gateway_stops(settings: ServiceSettings, nats_client: Client) -> None:
    said: list[phone.Bye] = []

    async def visit(gateway: Gateway, there_: asyncio.Event) -> None:
        async with gateway.phone() as there:
            there_.set()
            said.append(await there.hear(phone.Bye, within_s=20))

    async with running_gateway(settings, nats_client) as gateway:
        connected = asyncio.Event()
        visiting = asyncio.create_task(visit(gateway, connected))
        await connected.wait()
    await visiting
    assert (said[0].code, said[0].retry_after_s) == ("shutting_down", 0.5)


async def test_the_socket_is_no_page_and_pages_are_no_sockets(gateway: Gateway) -> None:
    answer = await gateway.get("/phone/v1/socket")
    assert answer.status == 426
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    answer = await http.ask(
        gateway.url, "GET", "/getsms", headers=upgrade | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    )
    assert answer.status == 403


async def test_a_frame_of_a_later_version_is_ignored(gateway: Gateway) -> None:
    async with gateway.phone() as there:
        await there.connection.send('{"type": "teleport", "n": 1}')
        await there.connection.send('{"type": "ping", "n": 1, "later": true}')
        assert (await there.hear(phone.Pong)).n == 1
        await there.connection.send('{"type": "ping", "n": "one"}')
        assert (await there.hear(phone.Bye)).code == "bad_frame"


async def test_a_silent_phone_is_asked_and_then_let_go(nats_client: Client) -> None:
    said: list[dict[str, Any]] = []

    async def nothing() -> dict[str, Any]:
        never: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        return await never

    async def send(message: dict[str, Any]) -> None:
        said.append(msgspec.json.decode(message["text"]))

    jetstream = nats_client.jetstream()
    publisher = Publisher(jetstream, registry.REPORTS, registry.REPORT_ATTEMPT)
    means = Means(RpcClient(nats_client), publisher, publisher, time.time, ping_interval_s=0.02)
    admitted = Admitted(ACCOUNT, DEVICE, None, SessionOpened(session=1, again=[]))
    async with asyncio.timeout(5):
        assert await Session(Wire(nothing, send), means, admitted).run() is None
    assert [frame["type"] for frame in said] == ["welcome", "ping", "ping"]
