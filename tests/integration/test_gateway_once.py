"""Send once: a key stands for one message, on any replica, whatever dies between its entry and the command."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from services.gateway.once import Entry, content_of
from shared.bus.buckets import FirstWins
from shared.contracts import registry
from shared.contracts.commands import SubmitSms
from shared.contracts.rpc.auth import Verdict
from shared.db.pool import Pool
from shared.model.ids import MessageIds
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import derive_key, digest
from tests.conftest import SECRET
from tests.support import http
from tests.support.gateway import (
    ACCOUNT,
    DEVICE,
    KEY,
    NOWHERE,
    OTHER_ACCOUNT,
    OTHER_KEY,
    SCOPES,
    Gateway,
    running_gateway,
    send,
)
from tests.support.rows import add_device

IDS = MessageIds(derive_key(SECRET, "message-ids"))


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    await add_device(pool, "o" * 21, OTHER_ACCOUNT)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def by_header(gateway: Gateway, key: str, **parameters: object) -> http.Response:
    wanted = {"apikey": KEY, "recipients": "+3247123456", "message": "hello"} | parameters
    return await gateway.ask("GET", http.query("/sendsms/", **wanted), headers={"Idempotency-Key": key})


def result(answer: http.Response) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()["result"]
    assert found["error"] == 0
    return found


async def test_the_same_key_answers_the_same(gateway: Gateway) -> None:
    first = result(await send(gateway, client_ref="order 1", **{"from": "shop"}))
    assert result(await send(gateway, client_ref=" order 1 ", **{"from": "other"})) == first
    assert result(await by_header(gateway, "order 1")) == first
    assert result(await by_header(gateway, "order 1", client_ref="order 1")) == first
    commands = await gateway.commands()
    assert {command.recipients[0].id.hex() for command in commands} == {first["id"]}
    assert {command.client_ref for command in commands} == {"order 1"}
    same = [msgspec.structs.replace(command, origin=None) for command in commands]
    assert same == [same[0]] * 4
    assert result(await send(gateway, client_ref="order 2"))["id"] != first["id"]
    assert result(await send(gateway, OTHER_KEY, client_ref="order 1"))["id"] != first["id"]


async def test_a_list_keeps_all_its_ids(gateway: Gateway) -> None:
    numbers = ",".join(f"+3247012{number:04}" for number in range(300))
    first = result(await send(gateway, client_ref="list", recipients=numbers))
    assert result(await send(gateway, client_ref="list", recipients=numbers)) == first
    one, other = await gateway.commands()
    assert one == other
    assert [recipient.id.hex() for recipient in one.recipients] == first["ids"]


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "other"},
        {"recipients": "+3247123457"},
        {"recipients": "+3247123456,+3247123457"},
        {"priority": 1},
        {"ttl": 60},
        {"port": 1},
        {"sIdentifiant": DEVICE},
        {"schedule_timestamp": 5},
    ],
)
async def test_the_same_key_with_other_content_is_refused(gateway: Gateway, changes: dict[str, object]) -> None:
    result(await send(gateway, client_ref="order 1"))
    answer = await send(gateway, client_ref="order 1", **changes)
    assert (answer.status, answer.json()["error"]) == (422, "idempotency_key_reused")
    assert len(await gateway.commands()) == 1


async def test_what_is_no_key(gateway: Gateway) -> None:
    for parameters, code in (
        ({"client_ref": "x" * 201}, "invalid_client_ref"),
        ({"client_ref": "a\nb"}, "invalid_client_ref"),
        ({"client_ref": "a\0b"}, "invalid_client_ref"),
    ):
        answer = await send(gateway, **parameters)
        assert (answer.status, answer.json()["error"]) == (400, code)
    for key, code in (("y" * 201, "invalid_idempotency_key"), ("\xff", "invalid_idempotency_key")):
        answer = await by_header(gateway, key)
        assert (answer.status, answer.json()["error"]) == (400, code)
    answer = await by_header(gateway, "one", client_ref="other")
    assert (answer.status, answer.json()["error"]) == (400, "idempotency_key_mismatch")
    assert await gateway.commands() == []
    assert result(await by_header(gateway, "", client_ref=" "))["id"] != result(await by_header(gateway, ""))["id"]
    assert {command.client_ref for command in await gateway.commands()} == {None}


async def test_a_refused_request_leaves_its_key_free(gateway: Gateway) -> None:
    assert (await send(gateway, client_ref="order 1", message="")).status == 400
    assert (await send(gateway, client_ref="order 1", sIdentifiant="x" * 21)).json()["error"] == 2
    result(await send(gateway, client_ref="order 1"))


async def test_what_was_accepted_stays_so_whatever_becomes_of_phones_and_limits(
    settings: ServiceSettings, nats_client: Client, gateway: Gateway, pool: Pool
) -> None:
    long = "x" * 200
    first = result(await send(gateway, client_ref="order 1"))
    second = result(await send(gateway, client_ref="order 2", message=long))
    await pool.execute("update devices set deleted_at = now()")
    await gateway.auth.leave()
    async with running_gateway(settings, nats_client) as later:
        verdict = Verdict(epoch=0, account=ACCOUNT, subject="key_1", scopes=SCOPES, max_parts=1)
        later.auth.accounts[digest(KEY)] = verdict
        assert (await send(later)).json()["error"] == 2
        assert (await send(later, message=long)).json()["error"] == "too_many_parts"
        assert result(await send(later, client_ref="order 1"))["id"] == first["id"]
        assert result(await send(later, client_ref="order 2", message=long))["id"] == second["id"]
        answer = await send(later, client_ref="order 1", message="other")
        assert (answer.status, answer.json()["error"]) == (422, "idempotency_key_reused")


async def test_an_entry_without_a_command_is_made_good(gateway: Gateway, nats_client: Client) -> None:
    """As kill -9 between the two leaves it."""
    result(await send(gateway, client_ref="first"))
    before = IDS.new(ACCOUNT, 1_790_000_000_000)[0]
    content = content_of(["+3247123456"], "hello", ("sms",), None, None, None, None, None, 0)
    bucket = FirstWins(nats_client.jetstream(), registry.IDEMPOTENCY)
    key = digest(ACCOUNT.to_bytes(8, "big").decode("latin-1") + "order 1").hex()
    await bucket.create(key, msgspec.msgpack.encode(Entry(before, 1_790_000_000.5, content)))
    said = result(await send(gateway, client_ref="order 1"))
    assert (said["id"], said["datetime"]) == (before.hex(), "2026-09-21T14:13:20Z")
    _, command = await gateway.commands()
    assert (command.recipients[0].id, command.accepted_at) == (before, 1_790_000_000.5)
    assert command.valid_until == 1_790_000_000.5 + 259_200


async def test_two_replicas_at_once_send_once(settings: ServiceSettings, nats_client: Client, gateway: Gateway) -> None:
    async with running_gateway(settings, nats_client) as other:
        answers = await asyncio.gather(
            *(send(one, client_ref=f"order {number % 5}") for number in range(100) for one in (gateway, other))
        )
    assert len({result(answer)["id"] for answer in answers}) == 5
    commands: dict[bytes, SubmitSms] = {}
    for command in await gateway.commands():
        assert commands.setdefault(command.recipients[0].id, command) == command
    assert len(commands) == 5


async def test_it_works_without_postgres(settings: ServiceSettings, nats_client: Client) -> None:
    async with running_gateway(settings, nats_client, database_url=NOWHERE) as gateway:
        first = result(await send(gateway, client_ref="order 1"))
        assert result(await send(gateway, client_ref="order 1")) == first


async def test_without_the_bucket_only_keys_are_refused(gateway: Gateway, nats_client: Client) -> None:
    jetstream = nats_client.jetstream()
    config = (await jetstream.stream_info(registry.IDEMPOTENCY.stream)).config
    try:
        await jetstream.update_stream(config.evolve(max_bytes=1))
        answer = await send(gateway, client_ref="order 1")
        assert (answer.status, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        result(await send(gateway))
        assert len(await gateway.commands()) == 1
    finally:
        await jetstream.update_stream(config)
    result(await send(gateway, client_ref="order 1"))


async def test_the_bucket_forgets_after_seven_days_and_keeps_one_value(nats_client: Client) -> None:
    config = (await nats_client.jetstream().stream_info("KV_idempotency")).config
    assert (config.max_age, config.max_msgs_per_subject, config.storage) == (7 * 86_400, 1, "file")
    bucket = FirstWins(nats_client.jetstream(), registry.IDEMPOTENCY)
    assert await bucket.get("k") is None
    assert await bucket.create("k", b"one") == b"one"
    assert await bucket.create("k", b"two") == b"one"
    assert await (await nats_client.jetstream().key_value("idempotency")).status()
