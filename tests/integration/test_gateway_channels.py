"""Which way a message goes: WhatsApp beside SMS, bulk beside single, national numbers, limits of parts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from shared.contracts import registry
from shared.contracts.commands import SubmitSms
from shared.contracts.rpc.auth import Verdict
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
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

WHATSAPP_DEVICE = "w" * 21


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    """The first account has a phone for both channels and one for SMS alone, the other account one for SMS."""
    await add_device(pool)
    await add_device(pool, WHATSAPP_DEVICE, ACCOUNT, "sms", "whatsapp")
    await add_device(pool, "o" * 21, OTHER_ACCOUNT)
    async with running_gateway(settings, nats_client) as running:
        yield running


def jobs(commands: list[SubmitSms]) -> list[tuple[str, str, str | None]]:
    """Channel, id and media of each message."""
    return [
        (command.channel, recipient.id.hex(), command.media_url)
        for command in commands
        for recipient in command.recipients
    ]


@pytest.mark.parametrize(
    "parameters",
    [{"waonly": "yes"}, {"sendwa": 1, "sendsms": 0}, {"waonly": "yes", "sendsms": 1}, {"waonly": "YES", "sendwa": 0}],
)
async def test_whatsapp_alone(gateway: Gateway, parameters: dict[str, Any]) -> None:
    result = (await send(gateway, recipients="3247123456", **parameters)).json()["result"]
    assert (result["error"], result["sent"], result["send_with_whatsapp"]) == (0, "1", "1")
    assert "ids" not in result
    assert jobs(await gateway.commands()) == [("whatsapp", result["id"], None)]


@pytest.mark.parametrize("parameters", [{}, {"sendsms": ""}, {"sendsms": 1}])
async def test_both_channels_are_two_messages(
    gateway: Gateway, nats_client: Client, parameters: dict[str, Any]
) -> None:
    url = "https://media.example/a.jpg?b=1#c"
    before = (await nats_client.jetstream().stream_info("COMMANDS")).state.last_seq
    result = (await send(gateway, sendwa=1, url_media=url, client_ref="k", **parameters)).json()["result"]
    assert result["send_with_whatsapp"] == "1"
    assert result["ids"][0] == result["id"]
    assert jobs(await gateway.commands()) == [("sms", result["ids"][0], None), ("whatsapp", result["ids"][1], url)]
    assert (await nats_client.jetstream().stream_info("COMMANDS")).state.last_seq == before + 1, "one envelope"
    assert (await send(gateway, sendwa=1, url_media=url, client_ref="k", **parameters)).json()["result"] == result
    for other in ({"url_media": ""}, {"sendsms": 0}, {"sendwa": 0}):
        again: dict[str, Any] = {"sendwa": 1, "url_media": url} | parameters | other
        assert (await send(gateway, client_ref="k", **again)).status == 422


async def test_several_recipients_by_both(gateway: Gateway) -> None:
    result = (await send(gateway, sendwa=1, recipients="+3247123456,+3247123457")).json()["result"]
    found = await gateway.commands()
    assert [(command.channel, [r.number for r in command.recipients]) for command in found] == [
        ("sms", ["+3247123456", "+3247123457"]),
        ("whatsapp", ["+3247123456", "+3247123457"]),
    ]
    assert [job[1] for job in jobs(found)] == result["ids"]


async def test_media_without_whatsapp_goes_nowhere(gateway: Gateway) -> None:
    assert (await send(gateway, url_media="https://media.example/a.jpg")).json()["result"]["send_with_whatsapp"] == "0"
    assert [job[0::2] for job in jobs(await gateway.commands())] == [("sms", None)]


async def test_without_a_phone_for_it_nothing_is_sent(gateway: Gateway) -> None:
    for key, parameters, code in (
        (OTHER_KEY, {"waonly": "yes"}, "whatsapp_not_connected"),
        (OTHER_KEY, {"sendwa": 1}, "whatsapp_not_connected"),
        (KEY, {"sendwa": 1, "sIdentifiant": DEVICE}, "whatsapp_not_connected"),
        (KEY, {"waonly": "yes", "sIdentifiant": "x" * 21}, 2),
    ):
        answer = await send(gateway, key, **parameters)
        assert (answer.status, answer.json()["error"], answer.json()["result"]["sent"]) == (200, code, "no")
    assert await gateway.commands() == []
    assert (await send(gateway, waonly="yes", sIdentifiant=WHATSAPP_DEVICE)).json()["result"]["error"] == 0


BAD_CHANNELS = [
    ({"sendsms": "0"}, "no_channel"),
    ({"sendsms": "0", "sendwa": "0", "waonly": "no"}, "no_channel"),
    ({"sendsms": "2"}, "invalid_sendsms"),
    ({"sendwa": "maybe"}, "invalid_sendwa"),
    ({"waonly": "whatsapp"}, "invalid_waonly"),
    ({"shorturl": "x"}, "invalid_shorturl"),
    ({"encrypt_message": "aes"}, "invalid_encrypt_message"),
    ({"url_media": "http://media.example/a.jpg"}, "invalid_url_media"),
    ({"url_media": "https://"}, "invalid_url_media"),
    ({"url_media": "https://media.example/a b"}, "invalid_url_media"),
    ({"url_media": "https://media.example:x/"}, "invalid_url_media"),
    ({"url_media": "https://[media/"}, "invalid_url_media"),
    ({"url_media": "https://media.example/" + "x" * 2000}, "invalid_url_media"),
    ({"url_media": "file:///etc/passwd"}, "invalid_url_media"),
]


async def test_flags_that_are_none(gateway: Gateway) -> None:
    for parameters, code in BAD_CHANNELS:
        answer = await send(gateway, **parameters)
        assert (answer.status, answer.json()["error"]) == (400, code), parameters
    assert await gateway.commands() == []


async def test_while_phones_cannot_be_looked_up_whatsapp_waits(settings: ServiceSettings, nats_client: Client) -> None:
    async with running_gateway(settings, nats_client, database_url=NOWHERE) as gateway:
        assert (await send(gateway, waonly="yes")).json()["result"]["send_with_whatsapp"] == "1"
        assert [job[0] for job in jobs(await gateway.commands())] == ["whatsapp"]


async def test_many_recipients_go_with_others_of_their_kind(gateway: Gateway, nats_client: Client) -> None:
    jetstream = nats_client.jetstream()
    for count, subject in ((10, registry.SUBMIT_SINGLE), (11, registry.SUBMIT_BULK)):
        numbers = ",".join(f"+3247012{number:04}" for number in range(count))
        assert (await send(gateway, recipients=numbers)).status == 200
        state = (await jetstream.stream_info("COMMANDS")).state
        assert (await jetstream.get_msg("COMMANDS", state.last_seq)).subject == subject


def knows(gateway: Gateway, key: str, **limits: Any) -> None:
    verdict = Verdict(epoch=0, account=ACCOUNT, subject=key, scopes=SCOPES, **limits)
    gateway.auth.accounts[digest(key)] = verdict


async def test_national_numbers_of_the_accounts_region(gateway: Gateway) -> None:
    knows(gateway, "belgian", region="BE")
    for raw, number in (
        ("0470 12 34 56", "+32470123456"),
        ("+1234567890", "+1234567890"),
        ("0032470123456", "+32470123456"),
        ("32470123456", "32470123456"),
        ("8080", "8080"),
        ("INFO", "INFO"),
    ):
        assert (await send(gateway, "belgian", recipients=raw)).status == 200
        assert (await gateway.commands())[-1].recipients[0].number == number, raw
    assert (await send(gateway, recipients="0470123456")).status == 200
    assert (await gateway.commands())[-1].recipients[0].number == "0470123456"


async def test_the_accounts_most_parts(gateway: Gateway) -> None:
    knows(gateway, "short", max_parts=2)
    assert (await send(gateway, "short", message="x" * 306)).status == 200
    answer = await send(gateway, "short", message="x" * 307)
    assert (answer.status, answer.json()["error"]) == (400, "too_many_parts")
    assert (await send(gateway, "short", message="x" * 307, sendwa=1)).status == 400
    assert (await send(gateway, "short", message="x" * 307, waonly="yes")).status == 200
    assert (await send(gateway, message="x" * 20_000)).status == 200
