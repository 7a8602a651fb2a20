"""Endpoints by rpc: made, changed, stopped, tried out, ended; each account its own, and secrets shown once."""

import asyncio
import json
from typing import Any

import pytest
from standardwebhooks import Webhook

from services.webhooks.store.endpoints import Endpoints
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.webhooks import (
    BasicAuth,
    BearerAuth,
    CreateEndpoint,
    DeleteEndpoint,
    EnableEndpoint,
    Endpoint,
    Filter,
    ListEndpoints,
    PauseEndpoint,
    RotateSecret,
    TryEndpoint,
    UpdateEndpoint,
)
from shared.db.pool import Pool
from shared.errors import Invalid, NotFound
from tests.conftest import Eventually
from tests.support.hostile import Answer, HostileReceiver
from tests.support.questions import question
from tests.support.webhooks import World


class Ask:
    """Questions about one account's endpoints."""

    def __init__(self, rpc: RpcClient, world: World) -> None:
        self.rpc = rpc
        self.world = world

    async def create(self, account: int, url: str, **more: Any) -> tuple[Endpoint, str]:
        request = CreateEndpoint(account=account, url=url, **more)
        made = await self.rpc.ask(registry.WEBHOOKS_ENDPOINT_CREATE, request)
        return made.endpoint, made.secret

    async def show(self, account: int, id: str) -> Endpoint:
        answer = await self.rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account, id=id))
        return answer.endpoints[0]


@pytest.fixture
def ask(webhooks_ask: RpcClient, webhooks_world: World) -> Ask:
    return Ask(webhooks_ask, webhooks_world)


async def test_endpoints_are_made_listed_and_ended(ask: Ask, receiver: HostileReceiver, eventually: Eventually) -> None:
    account = await ask.world.account()
    made, secret = await ask.create(account, receiver.url, description=" mine ")
    assert (made.id[:3], len(made.id), made.url, made.description) == ("wh_", 15, receiver.url, "mine")
    assert (made.enabled, made.state, made.window, made.signing_secrets) == (True, "enabled", 4, 1)
    await ask.world.publish(await ask.world.text(account))
    await eventually(lambda: ask.world.all_are("delivered"))
    Webhook(secret).verify(receiver.requests[0].body, receiver.requests[0].headers)
    receiver.default = Answer(500)
    await ask.world.publish(await ask.world.text(account))

    async def failed() -> bool:
        return (await ask.show(account, made.id)).last_error is not None

    await eventually(failed)
    listed = await ask.show(account, made.id)
    assert (listed.pending, listed.delivered, listed.failures) == (1, 1, 1)
    assert listed.last_error == "status: It answered HTTP 500."
    assert listed.lag_s is not None
    assert 0 <= listed.lag_s < 10
    end = DeleteEndpoint(account=account, id=made.id)
    assert await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_DELETE, end) == Done()
    assert [each["state"] for each in await ask.world.deliveries()] == ["delivered", "canceled"]
    assert await ask.world.pool.fetchval("select count(*) from endpoint_secrets") == 0
    with pytest.raises(NotFound):
        await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_DELETE, end)
    assert (await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account))).endpoints == []


async def test_endpoints_belong_to_their_account(ask: Ask) -> None:
    ours, other = await ask.world.account(), await ask.world.account("other")
    mine = await ask.world.endpoint(ours, "https://example.com/")
    for put in (
        question(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=other, id=mine)),
        question(registry.WEBHOOKS_ENDPOINT_UPDATE, UpdateEndpoint(account=other, id=mine, description="theirs")),
        question(registry.WEBHOOKS_ENDPOINT_DELETE, DeleteEndpoint(account=other, id=mine)),
        question(registry.WEBHOOKS_ENDPOINT_PAUSE, PauseEndpoint(account=other, id=mine)),
        question(registry.WEBHOOKS_ENDPOINT_ENABLE, EnableEndpoint(account=other, id=mine)),
        question(registry.WEBHOOKS_ENDPOINT_TEST, TryEndpoint(account=other, id=mine)),
        question(registry.WEBHOOKS_SECRET_ROTATE, RotateSecret(account=other, id=mine)),
        question(registry.WEBHOOKS_ENDPOINT_CREATE, CreateEndpoint(account=99, url="https://example.com/")),
    ):
        with pytest.raises(NotFound):
            await put(ask.rpc)
    shown = await ask.show(ours, mine)
    assert (shown.state, shown.description, shown.signing_secrets) == ("enabled", "", 1)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"url": "http://10.0.0.1/"}, "invalid_url"),
        ({"url": "gopher://example.com/"}, "invalid_url"),
        ({"url": "http://169.254.169.254/"}, "invalid_url"),
        ({"description": "x" * 257}, "invalid_description"),
        ({"filter": Filter(types=["sms.sent"])}, "invalid_filter"),
        ({"filter": Filter(types=["sms.unheard"]), "format": "v2"}, "invalid_filter"),
        ({"filter": Filter(sims=[9])}, "invalid_filter"),
        ({"headers": {"Content-Length": "5"}}, "invalid_headers"),
        ({"headers": {"Webhook-Id": "5"}}, "invalid_headers"),
        ({"headers": {"X-A": "line\r\nbreak"}}, "invalid_headers"),
        ({"auth": BasicAuth(user="a:b", password="c")}, "invalid_auth"),
        ({"auth": BearerAuth(token="a b")}, "invalid_auth"),
        ({"secret": "short"}, "invalid_secret"),
        ({"secret": "whsec_not base64"}, "invalid_secret"),
        ({"max_window": 0}, "invalid_window"),
    ],
)
async def test_what_cannot_be_kept_or_called_is_refused(ask: Ask, wrong: dict[str, Any], code: str) -> None:
    account = await ask.world.account()
    with pytest.raises(Invalid) as refused:
        await ask.create(account, **({"url": "https://example.com/"} | wrong))
    assert refused.value.code == code


async def test_credentials_are_sent_and_never_shown(
    ask: Ask, pool: Pool, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await ask.world.account()
    made, _ = await ask.create(
        account, receiver.url, headers={"X-Shop": "hidden"}, auth=BasicAuth(user="ann", password="hush")
    )
    assert (made.header_names, made.auth) == (["X-Shop"], "basic")
    await ask.world.publish(await ask.world.text(account))
    await eventually(lambda: ask.world.all_are("delivered"))
    assert receiver.requests[0].headers["x-shop"] == "hidden"
    assert receiver.requests[0].headers["authorization"] == "Basic YW5uOmh1c2g="
    tried = await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_TEST, TryEndpoint(account=account, id=made.id), timeout=20)
    assert (tried.status, tried.error) == (200, None)
    assert not {"X-Shop", "Authorization"} & set(tried.request_headers)
    assert receiver.requests[1].headers["x-shop"] == "hidden"
    change = UpdateEndpoint(account=account, id=made.id, auth=BearerAuth(token="tok"))
    changed = (await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_UPDATE, change)).endpoint
    assert (changed.header_names, changed.auth) == (["X-Shop"], "bearer")
    await ask.world.publish(await ask.world.text(account))
    await eventually(lambda: ask.world.all_are("delivered"))

    async def the_third_is_there() -> bool:
        return len(receiver.requests) == 3

    await eventually(the_third_is_there)
    assert receiver.requests[2].headers["authorization"] == "Bearer tok"
    stored = b"".join([row["box"] for row in await pool.fetch("select box from endpoint_secrets")])
    assert not any(secret in stored for secret in (b"hush", b"hidden", b"tok", b"whsec_"))


async def test_a_change_counts_for_the_next_delivery(
    ask: Ask, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await ask.world.account()
    made, _ = await ask.create(account, "https://example.com/", format="v2")
    change = UpdateEndpoint(account=account, id=made.id, url=receiver.url, filter=Filter(types=["sms.received"]))
    changed = (await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_UPDATE, change)).endpoint
    assert (changed.url, changed.filter.types, changed.format) == (receiver.url, ["sms.received"], "v2")
    await ask.world.publish(await ask.world.text(account))
    await eventually(lambda: ask.world.all_are("delivered"))
    assert json.loads(receiver.requests[0].body)["type"] == "sms.received"


async def test_both_secrets_sign_while_they_overlap(
    ask: Ask, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await ask.world.account()
    made, old = await ask.create(account, receiver.url)

    async def arrived() -> Any:
        before = len(receiver.requests)
        await ask.world.publish(await ask.world.text(account))

        async def one_more() -> bool:
            return len(receiver.requests) > before

        await eventually(one_more)
        return receiver.requests[-1]

    await arrived()
    rotated = await ask.rpc.ask(registry.WEBHOOKS_SECRET_ROTATE, RotateSecret(account=account, id=made.id))
    assert rotated.older_until is not None
    request = await arrived()
    for secret in (old, rotated.secret):
        Webhook(secret).verify(request.body, request.headers)
    final = RotateSecret(account=account, id=made.id, secret="a secret of its own, long enough", overlap_s=0)
    last = await ask.rpc.ask(registry.WEBHOOKS_SECRET_ROTATE, final)
    assert (last.secret, last.older_until) == ("a secret of its own, long enough", None)
    request = await arrived()
    assert len(request.headers["webhook-signature"].split(" ")) == 1


async def test_a_paused_endpoint_parks_and_an_enabled_one_drains(
    ask: Ask, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await ask.world.account()
    made, _ = await ask.create(account, receiver.url)
    pause = PauseEndpoint(account=account, id=made.id, reason="we move")
    paused = (await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_PAUSE, pause)).endpoint
    assert (paused.state, paused.enabled, paused.reason) == ("paused", False, "we move")
    await ask.world.publish(*[await ask.world.text(account, str(number)) for number in range(20)])

    async def all_wait() -> bool:
        return (await ask.show(account, made.id)).pending == 20

    await eventually(all_wait)
    assert receiver.requests == []
    enable = EnableEndpoint(account=account, id=made.id)
    assert (await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_ENABLE, enable)).endpoint.window == 1
    await eventually(lambda: ask.world.all_are("delivered"))
    assert {json.loads(each.body)["message"] for each in receiver.requests} == {str(number) for number in range(20)}


@pytest.mark.parametrize("format", ["classic", "v2"])
async def test_trying_out_tells_everything_and_keeps_nothing(ask: Ask, receiver: HostileReceiver, format: Any) -> None:
    receiver.default = Answer(500)
    account = await ask.world.account()
    made, secret = await ask.create(account, receiver.url, format=format)
    tried = await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_TEST, TryEndpoint(account=account, id=made.id), timeout=20)
    assert (tried.status, tried.error, tried.response_head) == (500, "status", "ok")
    assert receiver.requests[0].body.decode() == tried.body
    Webhook(secret).verify(tried.body, tried.request_headers)
    assert await ask.world.deliveries() == []
    odd = TryEndpoint(account=account, id=made.id, event_type="sms.unheard")
    with pytest.raises(Invalid) as refused:
        await ask.rpc.ask(registry.WEBHOOKS_ENDPOINT_TEST, odd)
    assert refused.value.code == "invalid_event_type"


async def test_an_endpoint_ended_while_events_fan_out_is_left_with_nothing_pending(
    pool: Pool, webhooks_world: World, eventually: Eventually
) -> None:
    world = webhooks_world
    account = await world.account()
    endpoint = await world.endpoint(account)
    async with pool.acquire() as connection, connection.transaction():
        # A fan-out that has not committed yet.
        await connection.execute("select from endpoint_state where endpoint_id = $1 for no key update", endpoint)
        await connection.execute(
            """
            insert into deliveries (event_id, endpoint_id, account_id, type, body)
            values (gen_random_uuid(), $1, $2, 'sms.received', '{}')
            """,
            endpoint,
            account,
        )
        ending = asyncio.create_task(Endpoints(pool).delete(account, endpoint))

        async def it_waits_for_the_fan_out() -> bool:
            return bool(await pool.fetchval("select count(*) from pg_locks where not granted"))

        await eventually(it_waits_for_the_fan_out)
    assert await ending
    assert await world.all_are("canceled")
