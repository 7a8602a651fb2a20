"""From an event to a receiver, and whose events go where: on a real database, a real NATS and real receivers."""

import asyncio
import json
import os
import signal
import sys
import uuid

import msgspec
import pytest
from prometheus_client import REGISTRY, generate_latest
from standardwebhooks import Webhook

from services.webhooks.signing import new_secret
from shared.contracts.rpc.webhooks import Filter
from shared.db.pool import Pool
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from tests.conftest import Eventually
from tests.integration.conftest import OpenWebhooks
from tests.support.hostile import Answer, HostileReceiver
from tests.support.webhooks import World


@pytest.fixture
def world(webhooks: Service, webhooks_world: World) -> World:
    return webhooks_world


async def test_a_received_text_arrives_as_the_classic_body(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    secret = new_secret()
    await world.endpoint(account, receiver.url, secret=secret)
    event = await world.text(account, "Grüße €")
    await world.publish(event)
    await eventually(lambda: world.all_are("delivered"))
    (request,) = receiver.requests
    body = json.loads(request.body)
    assert list(body) == ["date", "hour", "time_received", "message", "number", "guid"]
    assert body["time_received"] == "20260327172254316"
    assert (body["message"], body["number"]) == ("Grüße €", "15551234567")
    assert body["guid"] == str(uuid.UUID(body["guid"])).upper()
    assert request.headers["content-length"] == str(len(request.body))
    assert (request.headers["webhook-id"], request.headers["webhook-attempt"]) == (event.id, "1")
    Webhook(secret).verify(request.body, request.headers)
    (attempt,) = await world.attempts()
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, 200, None)
    assert (attempt["response_head"], attempt["remote_address"][:9]) == (b"ok", "127.0.0.1")


async def test_a_v2_endpoint_gets_the_envelope_and_its_headers(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    await world.endpoint(account, receiver.url, format="v2")
    event = await world.text(account, "hello")
    await world.publish(event)
    await eventually(lambda: world.all_are("delivered"))
    (request,) = receiver.requests
    body = json.loads(request.body)
    assert (body["id"], body["type"], body["data"]["message"]) == (event.id, "sms.received", "hello")
    assert request.headers["x-smsmobileapi-event-id"] == request.headers["webhook-id"] == event.id
    assert request.headers["x-smsmobileapi-signature"].startswith("v1=")


async def test_an_event_told_twice_arrives_once_at_each_endpoint(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    for _ in range(2):
        await world.endpoint(account, receiver.url)
    event, last = await world.text(account), await world.text(account, "last")
    await world.publish(event, event)
    await world.publish(event)
    await world.publish(last)

    async def everything_is_there() -> bool:
        return len(await world.deliveries()) == 4 and await world.all_are("delivered")

    await eventually(everything_is_there)
    assert len(receiver.requests) == 4
    assert len({request.body for request in receiver.requests}) == 2


async def test_only_what_an_endpoint_wants_is_delivered(
    pool: Pool, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    ours, other = await world.account(), await world.account("other")
    await world.endpoint(ours, receiver.url)
    await world.endpoint(ours, receiver.url, filter=Filter(devices=["another"]))
    await world.endpoint(ours, receiver.url, format="v2", filter=Filter(types=["sms.sent"]))
    await world.endpoint(ours, receiver.url, filter=Filter(numbers=["+15559999999"], sims=[2]))
    await world.endpoint(other, receiver.url, filter=Filter(numbers=["+1"]))
    deleted = await world.text(ours, "deleted")
    await pool.execute("update inbox set deleted_at = now() where id = $1", deleted.inbox)
    gone = msgspec.structs.replace(deleted, id=str(uuid.uuid4()), inbox=10**6)
    sent = msgspec.structs.replace(deleted, id=str(uuid.uuid4()), type="sms.sent", inbox=None, message=b"m" * 20)
    chosen = await world.text(ours, "chosen", number="+15559999999", sim=2, device="another")
    await world.publish(deleted, gone, sent, await world.text(other), await world.text(ours, "wanted"), chosen)

    async def four_are_there() -> bool:
        return len(await world.deliveries()) == 4 and await world.all_are("delivered")

    await eventually(four_are_there)
    texts = sorted(json.loads(request.body)["message"] for request in receiver.requests)
    assert texts == ["chosen", "chosen", "chosen", "wanted"]


async def test_an_event_that_cannot_be_stored_harms_no_neighbour(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    await world.endpoint(account, receiver.url)
    good = [await world.text(account, str(number)) for number in range(7)]
    bad = msgspec.structs.replace(good[0], id="no uuid at all")
    await world.publish(*good[:3], bad, *good[3:])

    async def seven_are_there() -> bool:
        return len(await world.deliveries()) == 7 and await world.all_are("delivered")

    await eventually(seven_are_there)
    assert {json.loads(request.body)["message"] for request in receiver.requests} == set("0123456")


async def test_what_happens_to_an_endpoint_is_told_to_those_that_ask_for_it(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    async with HostileReceiver(Answer(410)) as gone:
        ended = await world.endpoint(account, gone.url)
        chosen = Filter(types=["endpoint.disabled", "endpoint.failing"])
        await world.endpoint(account, receiver.url, format="v2", filter=chosen)
        await world.endpoint(account, receiver.url, format="v2")
        await world.due(account, ended, 1)

        async def told() -> bool:
            return bool(receiver.requests)

        await eventually(told)
    (request,) = receiver.requests
    body = json.loads(request.body)
    assert (body["type"], body["data"]["endpoint_id"]) == ("endpoint.disabled", ended)
    assert body["data"]["reason"].startswith("It answered HTTP 410")
    assert await world.told() == []


async def test_what_a_killed_worker_held_arrives_with_the_next_one(
    open_webhooks: OpenWebhooks,
    settings: ServiceSettings,
    webhooks_world: World,
    receiver: HostileReceiver,
    eventually: Eventually,
) -> None:
    world = webhooks_world
    receiver.default = Answer(behaviour="hang")
    account = await world.account()
    await world.endpoint(account, receiver.url)
    event = await world.text(account)
    environment = {
        f"SMSFLEET_{name.upper()}": str(value) for name, value in msgspec.to_builtins(settings).items() if value
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.webhooks", env={**os.environ, **environment}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await world.publish(event)

        async def it_is_under_way() -> bool:
            assert worker.returncode is None
            return bool(receiver.requests)

        await eventually(it_is_under_way)
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["claim"] is not None) == ("pending", True)
    receiver.default = Answer()
    await world.skip_waiting()
    async with open_webhooks():
        await eventually(lambda: world.all_are("delivered"))
    assert len(receiver.requests) == 2
    assert receiver.requests[0].body == receiver.requests[1].body
    assert [each["error"] for each in await world.attempts()] == ["unknown", None]


async def test_a_stopping_worker_finishes_what_is_under_way(
    open_webhooks: OpenWebhooks, webhooks_world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    world = webhooks_world
    receiver.default = Answer(behaviour="drip")
    account = await world.account()
    await world.endpoint(account, receiver.url)
    async with open_webhooks():
        await world.publish(await world.text(account))

        async def it_is_under_way() -> bool:
            return bool(receiver.requests)

        await eventually(it_is_under_way)
    assert await world.all_are("delivered")


async def test_metrics_tell_how_posts_end_and_what_waits_without_naming_endpoints(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    before = metric("smsfleet_webhooks_posts_total", outcome="delivered")
    account = await world.account()
    await world.due(account, await world.endpoint(account, receiver.url), 3)
    paused = await world.endpoint(account, receiver.url, state="paused")
    await world.due(account, paused, 2)
    await world.endpoint(account, receiver.url, width=0)

    async def told() -> bool:
        return (
            metric("smsfleet_webhooks_posts_total", outcome="delivered") == before + 3
            and metric("smsfleet_webhooks_pending") == 2
            and metric("smsfleet_webhooks_open_breakers") == 1
        )

    await eventually(told)
    assert paused.encode() not in generate_latest()


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_it_is_ready_and_says_so(webhooks: Service, eventually: Eventually) -> None:
    async def ready() -> bool:
        return webhooks.health.ready() == (True, {"running": "ok", "database": "ok", "nats": "ok", "events": "ok"})

    await eventually(ready)
