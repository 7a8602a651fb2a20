"""Events become deliveries and deliveries arrive: on a real database, a real NATS and real HTTP receivers."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client as NatsClient

from services.webhooks.app import open_service
from services.webhooks.client import Deadlines
from services.webhooks.settings import WebhooksSettings
from services.webhooks.store import Claimed, Completion, Store
from shared.bus.publisher import Publisher
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.envelope import encode_item
from shared.contracts.events import Event
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.webhooks import CreateEndpoint, DeleteEndpoint, Endpoint, ListEndpoints
from shared.db.pool import Pool
from shared.errors import Invalid, NotFound
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from tests.conftest import Eventually
from tests.support.hostile import Answer, HostileReceiver

HANG = Answer(behaviour="hang")
QUICK = Deadlines(total_s=1.5, connect_s=0.5)


class World:
    """An account with endpoints and texts, as the other services leave them in the database."""

    def __init__(self, pool: Pool, publisher: Publisher) -> None:
        self._pool = pool
        self._publisher = publisher

    async def account(self, name: str = "acme") -> int:
        return int(await self._pool.fetchval("insert into accounts (name) values ($1) returning id", name))

    async def endpoint(self, account: int, url: str, *, enabled: bool = True) -> str:
        endpoint = f"wh_{os.urandom(6).hex()}"
        await self._pool.execute(
            "insert into endpoints (id, account_id, url, format, enabled) values ($1, $2, $3, 'classic', $4)",
            endpoint,
            account,
            url,
            enabled,
        )
        return endpoint

    async def text(self, account: int, text: str = "hello") -> Event:
        """A text in the inbox and the event that tells of it."""
        inbox = await self._pool.fetchval(
            """
            insert into inbox (account_id, device_id, number, text, received_at, utc_offset_min, fingerprint)
            values ($1, 'd', '+15551234567', $2, '2026-03-27 09:22:54.316Z', 480, $3) returning id
            """,
            account,
            text,
            os.urandom(32),
        )
        return Event(
            id=str(uuid.uuid4()),
            account=account,
            type="sms.received",
            occurred_at=datetime.now(UTC).timestamp(),
            inbox=inbox,
        )

    async def publish(self, *events: Event) -> None:
        await self._publisher.publish_envelope([encode_item(event) for event in events])

    async def due(self, account: int, endpoint: str, count: int) -> None:
        """Deliveries that are due, without an event."""
        await self._pool.execute(
            """
            insert into deliveries (event_id, endpoint_id, account_id, type, body)
            select gen_random_uuid(), $2, $1, 'sms.received', '{}' from generate_series(1, $3)
            """,
            account,
            endpoint,
            count,
        )

    async def deliveries(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch("select * from deliveries order by id")]

    async def attempts(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch("select * from delivery_attempts order by 1, 2")]

    async def all_are(self, state: str) -> bool:
        states = [delivery["state"] for delivery in await self.deliveries()]
        return bool(states) and set(states) == {state}

    async def skip_waiting(self) -> None:
        """As if the time until the next attempt, or the end of a lease, had passed."""
        await self._pool.execute("update deliveries set next_attempt_at = now() where state = 'pending'")


@pytest.fixture
async def world(pool: Pool, nats_client: NatsClient) -> World:
    jetstream = nats_client.jetstream(timeout=5)
    return World(pool, Publisher(jetstream, registry.EVENTS, registry.EVENT_ENVELOPE))


@pytest.fixture
async def receiver() -> AsyncIterator[HostileReceiver]:
    async with HostileReceiver() as running:
        yield running


Open = Callable[[], AbstractAsyncContextManager[Service]]


@pytest.fixture
def opened(settings: ServiceSettings, nats_client: NatsClient) -> Open:
    return lambda: open_service(msgspec.convert(msgspec.to_builtins(settings), WebhooksSettings), QUICK)


@pytest.fixture
async def service(opened: Open) -> AsyncIterator[Service]:
    async with opened() as running:
        yield running


@pytest.fixture
def ask(service: Service, nats_client: NatsClient) -> RpcClient:
    return RpcClient(nats_client)


# From an event to a receiver -----------------------------------------------------------------------------------


async def test_a_received_text_arrives_as_the_classic_body(
    service: Service, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    await world.endpoint(account, receiver.url)
    await world.publish(await world.text(account, "Grüße €"))
    await eventually(lambda: world.all_are("delivered"))
    (request,) = receiver.requests
    body = json.loads(request.body)
    assert list(body) == ["date", "hour", "time_received", "message", "number", "guid"]
    assert body["time_received"] == "20260327172254316"
    assert (body["message"], body["number"]) == ("Grüße €", "15551234567")
    assert body["guid"] == str(uuid.UUID(body["guid"])).upper()
    assert request.headers["content-length"] == str(len(request.body))
    (attempt,) = await world.attempts()
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, 200, None)


async def test_an_event_told_twice_arrives_once_at_each_endpoint(
    service: Service, world: World, receiver: HostileReceiver, eventually: Eventually
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


async def test_only_what_an_endpoint_is_there_for_is_delivered(
    service: Service, pool: Pool, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    ours, other = await world.account(), await world.account("other")
    await world.endpoint(ours, receiver.url)
    await world.endpoint(other, receiver.url, enabled=False)
    deleted = await world.text(ours, "deleted")
    await pool.execute("update inbox set deleted_at = now() where id = $1", deleted.inbox)
    gone = msgspec.structs.replace(deleted, id=str(uuid.uuid4()), inbox=10**6)
    sent = msgspec.structs.replace(deleted, id=str(uuid.uuid4()), type="sms.sent", inbox=None, message=b"m" * 20)
    await world.publish(deleted, gone, sent, await world.text(other), await world.text(ours, "wanted"))
    await eventually(lambda: world.all_are("delivered"))
    (request,) = receiver.requests
    assert json.loads(request.body)["message"] == "wanted"


async def test_an_event_that_cannot_be_stored_harms_no_neighbour(
    service: Service, world: World, receiver: HostileReceiver, eventually: Eventually
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


# Failures ---------------------------------------------------------------------------------------------------------


async def test_after_an_error_it_is_tried_again_five_seconds_later(
    service: Service, pool: Pool, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    receiver.answers = [Answer(500)]
    account = await world.account()
    await world.endpoint(account, receiver.url)
    await world.publish(await world.text(account))

    async def failed_once() -> bool:
        return len(await world.attempts()) == 1

    await eventually(failed_once)
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("pending", 1)
    assert delivery["last_error"] == "It answered HTTP 500."
    wait = await pool.fetchval("select extract(epoch from next_attempt_at - now()) from deliveries")
    assert 2 < wait <= 6
    await world.skip_waiting()
    await eventually(lambda: world.all_are("delivered"))
    assert [(each["number"], each["status"]) for each in await world.attempts()] == [(1, 500), (2, 200)]
    assert receiver.requests[0].body == receiver.requests[1].body


async def test_a_receiver_that_is_away_gets_it_soon_after_its_return_at_no_attempt_s_cost(
    service: Service, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    await receiver.stop()
    account = await world.account()
    await world.endpoint(account, receiver.url)
    await world.publish(await world.text(account))

    async def tried_three_times() -> bool:
        return len(await world.attempts()) >= 3

    await eventually(tried_three_times)
    await receiver.start()
    await eventually(lambda: world.all_are("delivered"))
    (delivery,) = await world.deliveries()
    assert delivery["attempts"] == 1
    numbers = [each["number"] for each in await world.attempts()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_redirect_is_a_failure(
    service: Service, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    async with HostileReceiver() as elsewhere:
        receiver.default = Answer(302, headers={"Location": elsewhere.url})
        account = await world.account()
        await world.endpoint(account, receiver.url)
        await world.publish(await world.text(account))

        async def failed() -> bool:
            return bool(await world.attempts())

        await eventually(failed)
        (delivery,) = await world.deliveries()
        assert delivery["last_error"] == "It answered HTTP 302 (redirects are not followed)."
        assert elsewhere.connections == 0


async def test_after_ten_attempts_it_is_kept_as_exhausted(
    service: Service, pool: Pool, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    receiver.default = Answer(500)
    account = await world.account()
    await world.due(account, await world.endpoint(account, receiver.url), 1)
    await pool.execute("update deliveries set attempts = 9, next_attempt_at = now()")
    await eventually(lambda: world.all_are("exhausted"))
    (delivery,) = await world.deliveries()
    assert delivery["ended_at"] is not None
    assert delivery["last_error"] == "It answered HTTP 500."


async def test_an_endpoint_that_hangs_has_few_at_once_and_delays_no_other(
    service: Service, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    receiver.default = HANG
    account = await world.account()
    hanging = await world.endpoint(account, receiver.url)
    await world.due(account, hanging, 200)

    async def it_hangs() -> bool:
        return len(receiver.requests) >= 8

    await eventually(it_hangs)
    assert len(receiver.requests) == 8
    async with HostileReceiver() as healthy:
        await world.due(account, await world.endpoint(account, healthy.url), 5)

        async def the_healthy_one_has_all() -> bool:
            return len(healthy.requests) == 5

        await eventually(the_healthy_one_has_all)
    assert receiver.connections <= 16

    async def timed_out() -> bool:
        return any(each["error"] == "It did not answer in time." for each in await world.attempts())

    await eventually(timed_out)
    # From now on it gets one at a time: 60 such endpoints do not fill the process.
    before = len(receiver.requests)

    async def tried_again() -> bool:
        return len(receiver.requests) > before

    await eventually(tried_again)
    assert len(receiver.requests) == before + 1


# Claims and leases ------------------------------------------------------------------------------------------------


def delivered(claimed: Claimed, claim: uuid.UUID) -> Completion:
    return Completion(
        delivery=claimed,
        claim=claim,
        state="delivered",
        retry_s=None,
        counted=True,
        duration_ms=5,
        status=200,
        error=None,
    )


async def test_a_worker_that_was_too_slow_changes_nothing(pool: Pool, world: World) -> None:
    store = Store(pool)
    account = await world.account()
    await world.due(account, await world.endpoint(account, "http://127.0.0.1:9/"), 1)
    slow, quick = uuid.uuid4(), uuid.uuid4()
    (first,) = await store.claim(slow, 10, 8, {})
    assert await store.claim(quick, 10, 8, {}) == []
    await world.skip_waiting()
    (second,) = await store.claim(quick, 10, 8, {})
    assert (first.attempts, second.attempts) == (1, 2)
    assert await store.complete([delivered(first, slow)]) == 0
    assert await world.all_are("pending")
    assert await store.complete([delivered(second, quick)]) == 1
    assert await store.complete([delivered(second, quick)]) == 0
    assert len(await world.attempts()) == 1


async def test_a_claim_is_shared_out_among_endpoints(pool: Pool, world: World) -> None:
    store = Store(pool)
    account = await world.account()
    crowded = await world.endpoint(account, "http://127.0.0.1:9/")
    await world.due(account, crowded, 500)
    quiet = [await world.endpoint(account, "http://127.0.0.1:9/") for _ in range(20)]
    for endpoint in quiet:
        await world.due(account, endpoint, 1)
    claimed = await store.claim(uuid.uuid4(), 64, 8, {})
    assert {each.endpoint for each in claimed} == {crowded, *quiet}
    assert len(claimed) <= 64
    assert sum(each.endpoint == crowded for each in claimed) <= 8
    assert await store.claim(uuid.uuid4(), 64, 8, {crowded: 8}) == []


async def test_workers_claim_different_deliveries(pool: Pool, world: World) -> None:
    store = Store(pool)
    account = await world.account()
    await world.due(account, await world.endpoint(account, "http://127.0.0.1:9/"), 60)
    claims = await asyncio.gather(*(store.claim(uuid.uuid4(), 64, 8, {}) for _ in range(6)))
    ids = [each.id for claimed in claims for each in claimed]
    assert len(ids) == len(set(ids))
    assert len(ids) <= 48


async def test_what_a_killed_worker_held_arrives_with_the_next_one(
    opened: Open,
    settings: ServiceSettings,
    world: World,
    receiver: HostileReceiver,
    eventually: Eventually,
) -> None:
    receiver.default = HANG
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
    async with opened():
        await eventually(lambda: world.all_are("delivered"))
    assert len(receiver.requests) == 2
    assert receiver.requests[0].body == receiver.requests[1].body


async def test_a_stopping_worker_finishes_what_is_under_way(
    opened: Open, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    receiver.default = Answer(behaviour="drip")
    account = await world.account()
    await world.endpoint(account, receiver.url)
    async with opened():
        await world.publish(await world.text(account))

        async def it_is_under_way() -> bool:
            return bool(receiver.requests)

        await eventually(it_is_under_way)
    assert await world.all_are("delivered")


# Endpoints --------------------------------------------------------------------------------------------------------


async def test_endpoints_are_made_listed_and_ended(
    ask: RpcClient, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    request = CreateEndpoint(account=account, url=receiver.url, description=" mine ")
    made = (await ask.ask(registry.WEBHOOKS_ENDPOINT_CREATE, request)).endpoint
    assert made.id.startswith("wh_")
    assert len(made.id) == 15
    assert (made.url, made.description, made.enabled) == (receiver.url, "mine", True)
    await world.publish(await world.text(account))
    await eventually(lambda: world.all_are("delivered"))
    receiver.default = Answer(500)
    await world.publish(await world.text(account))

    async def shown() -> Endpoint:
        answer = await ask.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account, id=made.id))
        return answer.endpoints[0]

    async def failed() -> bool:
        return (await shown()).last_error is not None

    await eventually(failed)
    listed = await shown()
    assert (listed.pending, listed.delivered, listed.last_error) == (1, 1, "It answered HTTP 500.")
    end = DeleteEndpoint(account=account, id=made.id)
    assert await ask.ask(registry.WEBHOOKS_ENDPOINT_DELETE, end) == Done()
    assert [each["state"] for each in await world.deliveries()] == ["delivered", "canceled"]
    with pytest.raises(NotFound):
        await ask.ask(registry.WEBHOOKS_ENDPOINT_DELETE, end)
    assert (await ask.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account))).endpoints == []


async def test_endpoints_belong_to_their_account(ask: RpcClient, world: World) -> None:
    ours, other = await world.account(), await world.account("other")
    mine = await world.endpoint(ours, "https://example.com/")
    with pytest.raises(NotFound):
        await ask.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=other, id=mine))
    with pytest.raises(NotFound):
        await ask.ask(registry.WEBHOOKS_ENDPOINT_DELETE, DeleteEndpoint(account=other, id=mine))
    with pytest.raises(NotFound):
        await ask.ask(registry.WEBHOOKS_ENDPOINT_CREATE, CreateEndpoint(account=99, url="https://example.com/"))


async def test_a_url_that_may_not_be_called_is_refused(ask: RpcClient, world: World) -> None:
    account = await world.account()
    for url in ("http://10.0.0.1/", "gopher://example.com/", "http://169.254.169.254/"):
        with pytest.raises(Invalid) as refused:
            await ask.ask(registry.WEBHOOKS_ENDPOINT_CREATE, CreateEndpoint(account=account, url=url))
        assert refused.value.code == "invalid_url"


async def test_an_endpoint_ended_while_events_fan_out_is_left_with_nothing_pending(
    pool: Pool, world: World, eventually: Eventually
) -> None:
    store = Store(pool)
    account = await world.account()
    endpoint = await world.endpoint(account, "http://127.0.0.1:9/")
    async with pool.acquire() as connection, connection.transaction():
        # A fan-out that has not committed yet.
        await connection.execute("select from endpoints where id = $1 for share", endpoint)
        await connection.execute(
            """
            insert into deliveries (event_id, endpoint_id, account_id, type, body)
            values (gen_random_uuid(), $1, $2, 'sms.received', '{}')
            """,
            endpoint,
            account,
        )
        ending = asyncio.create_task(store.delete_endpoint(account, endpoint))

        async def it_waits_for_the_fan_out() -> bool:
            return bool(await pool.fetchval("select count(*) from pg_locks where not granted"))

        await eventually(it_waits_for_the_fan_out)
    assert await ending
    assert await world.all_are("canceled")


async def test_it_is_ready_and_says_so(service: Service, eventually: Eventually) -> None:
    async def ready() -> bool:
        return service.health.ready() == (True, {"database": "ok", "nats": "ok", "events": "ok"})

    await eventually(ready)
