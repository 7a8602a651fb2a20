"""What the gateway accepts for sending, whole and once on the stream, and what it refuses in documented words."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client

from shared.db.pool import Pool
from shared.model.ids import MessageId, accepted_at_ms, parse_message_id
from shared.runtime.settings import ServiceSettings
from tests.conftest import Eventually
from tests.support import http
from tests.support.gateway import (
    ACCOUNT,
    DEVICE,
    KEY,
    OTHER_ACCOUNT,
    OTHER_KEY,
    SUSPENDED_KEY,
    Gateway,
    running_gateway,
    send,
)
from tests.support.rows import IDS, add_device


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def test_what_is_answered_200_is_on_the_stream(gateway: Gateway) -> None:
    before = time.time()
    later = int(before) + 3600
    answer = await send(
        gateway,
        message="héllo €",
        schedule_timestamp=later,
        port=2,
        sIdentifiant=DEVICE,
        ttl=60,
        priority=-5,
        **{"from": "odoo"},
    )
    assert answer.status == 200
    result = answer.json()["result"]
    (command,) = await gateway.commands()
    (recipient,) = command.recipients
    assert recipient.id.hex() == result["id"]
    assert IDS.is_ours(parse_message_id(result["id"]) or IDS.new(1, 1)[0], ACCOUNT)
    assert before - 1 <= accepted_at_ms(MessageId(recipient.id)) / 1000 <= time.time()
    assert msgspec.structs.asdict(command) | {"recipients": [], "accepted_at": 0} == {
        "account": ACCOUNT,
        "submitter": "key_1",
        "recipients": [],
        "text": "héllo €",
        "encoding": "gsm7",
        "parts": 1,
        "accepted_at": 0,
        "scheduled_at": later,
        "valid_until": later + 60,
        "channel": "sms",
        "device": DEVICE,
        "sim": 2,
        "priority": -5,
        "origin": "odoo",
        "client_ref": None,
        "media_url": None,
    }


async def test_a_past_schedule_means_now(gateway: Gateway) -> None:
    assert (await send(gateway, schedule_timestamp=1)).status == 200
    (command,) = await gateway.commands()
    assert command.scheduled_at == command.accepted_at
    assert command.valid_until == command.accepted_at + 259_200


async def test_a_list_is_accepted_whole_or_not_at_all(gateway: Gateway) -> None:
    numbers = ",".join(f"+32470{number:06}" for number in range(1000))
    answer = await gateway.ask(
        "POST", "/sendsms", body=http.form(apikey=KEY, recipients=numbers, message="hi"), headers=http.FORM
    )
    result = answer.json()["result"]
    (command,) = await gateway.commands()
    assert [recipient.id.hex() for recipient in command.recipients] == result["ids"]
    assert result["id"] == result["ids"][0]
    assert len(set(result["ids"])) == 1000
    assert (await send(gateway, recipients="+3247123456,?")).json()["error"] == "invalid_recipient"
    body = http.form(apikey=KEY, recipients=numbers + ",+1555000", message="hi")
    answer = await gateway.ask("POST", "/sendsms", body=body, headers=http.FORM)
    assert (answer.status, answer.json()["error"]) == (400, "too_many_recipients")
    assert len(await gateway.commands()) == 1


BAD_INPUT: list[tuple[dict[str, str], int, int | str]] = [
    ({"apikey": ""}, 403, 1),
    ({"apikey": "wrong"}, 403, 1),
    ({"apikey": SUSPENDED_KEY}, 403, "subscription_expire"),
    ({"recipients": ""}, 400, "missing_recipients"),
    ({"recipients": "+"}, 400, "invalid_recipient"),
    ({"recipients": "\0"}, 400, "invalid_recipient"),
    ({"message": ""}, 400, "missing_message"),
    ({"message": "x" * 20_001}, 400, "message_too_long"),
    ({"message": "a\0b"}, 400, "invalid_message"),
    ({"from": "\0"}, 400, "invalid_from"),
    ({"schedule_timestamp": "soon"}, 400, "invalid_schedule_timestamp"),
    ({"schedule_timestamp": "95617584000"}, 400, "invalid_schedule_timestamp"),
    ({"schedule_timestamp": "9" * 30}, 400, "invalid_schedule_timestamp"),
    ({"port": "3"}, 400, "invalid_port"),
    ({"priority": "128"}, 400, "invalid_priority"),
    ({"ttl": "0"}, 400, "invalid_ttl"),
    ({"sendsms": "0"}, 400, "no_channel"),
    ({"waonly": "yes"}, 200, "whatsapp_not_connected"),
    ({"encrypt_message": "yes"}, 200, "encrypt_message_not_supported"),
    ({"shorturl": "1"}, 200, "shorturl_not_supported"),
    ({"sIdentifiant": "nobody"}, 200, 2),
    ({"sIdentifiant": "x" * 21}, 200, 2),
]


async def test_bad_input_gets_the_documented_error_and_changes_nothing(gateway: Gateway) -> None:
    for parameters, status, code in BAD_INPUT:
        wanted = {"apikey": KEY, "recipients": "+3247123456", "message": "hello"} | parameters
        body = http.form(**wanted)
        answer = await gateway.ask("POST", "/sendsms/", body=body, headers=http.FORM)
        said = answer.json()
        found = (answer.status, said["error"], said["result"]["error"], said["result"]["sent"])
        assert found == (status, code, code, "no"), parameters
    assert await gateway.commands() == []


async def test_an_account_without_a_device_is_told(gateway: Gateway, pool: Pool, eventually: Eventually) -> None:
    answer = await send(gateway, OTHER_KEY)
    assert (answer.status, answer.json()["result"]["error"], answer.json()["result"]["sent"]) == (200, 2, "no")
    await add_device(pool, "o" * 21, OTHER_ACCOUNT)

    async def accepted() -> bool:
        return bool((await send(gateway, OTHER_KEY)).json()["result"]["error"] == 0)

    await eventually(accepted)
    assert (await send(gateway, OTHER_KEY, sIdentifiant=DEVICE)).json()["result"]["error"] == 2


async def test_a_hundred_at_once_share_envelopes(gateway: Gateway, nats_client: Client) -> None:
    await send(gateway)
    before = (await nats_client.jetstream().stream_info("COMMANDS")).state.last_seq
    answers = await asyncio.gather(*(send(gateway, message=str(number)) for number in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert len(await gateway.commands()) == 101
    assert (await nats_client.jetstream().stream_info("COMMANDS")).state.last_seq - before < 60
