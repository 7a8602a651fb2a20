"""What the gateway still accepts while Postgres, auth or room on the stream is missing, and how it says so."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.support.gateway import DEVICE, KEY, NOWHERE, OTHER_KEY, Gateway, running_gateway, send
from tests.support.rows import add_device


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def test_it_accepts_without_postgres(settings: ServiceSettings, nats_client: Client) -> None:
    async with running_gateway(settings, nats_client, database_url=NOWHERE) as gateway:
        assert (await send(gateway)).json()["result"]["error"] == 0
        assert (await send(gateway, sIdentifiant=DEVICE)).status == 200
        assert len(await gateway.commands()) == 2
        for path in ("/getsms", "/log/sent/sms"):
            answer = await gateway.get(path, apikey=KEY)
            assert (answer.status, answer.json()["error"], answer.json()["result"]["sms"]) == (503, "unavailable", [])
            assert int(answer.headers["retry-after"]) >= 1


async def test_it_accepts_without_auth_from_whom_it_knows(gateway: Gateway) -> None:
    assert (await send(gateway)).status == 200
    gateway.auth.silent = True
    await gateway.auth.leave()
    gateway.auth.accounts.clear()
    assert (await send(gateway)).status == 200
    answer = await send(gateway, OTHER_KEY)
    assert (answer.status, answer.json()["error"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_full_stream_is_503_and_recovers(gateway: Gateway, nats_client: Client) -> None:
    jetstream = nats_client.jetstream()
    config = (await jetstream.stream_info("COMMANDS")).config
    try:
        await jetstream.update_stream(config.evolve(max_bytes=1))
        answer = await send(gateway)
        assert (answer.status, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await gateway.get("/health/ready")).status == 503
    finally:
        await jetstream.update_stream(config)
    assert (await send(gateway)).status == 200
    assert (await gateway.get("/health/ready")).status == 200
