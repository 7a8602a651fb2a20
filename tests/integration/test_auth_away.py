"""Postgres away: everything that a request needs is answered all the same, and nothing is forgotten."""

import asyncio

import pytest
from nats.aio.client import Client

from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import CreateAccount, RevokeToken
from shared.contracts.rpc.clients import ClientCreated
from shared.db.pool import Pool, connected_pool
from shared.errors import Invalid, Unavailable
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.conftest import Eventually
from tests.support.auths import (
    give_back,
    introspect,
    issue,
    new_account,
    new_client,
    running_auth,
    take_away,
    trust,
    verify,
)
from tests.support.questions import question
from tests.support.servers import Servers


async def used(pool: Pool) -> list[str]:
    return [row["id"] for row in await pool.fetch("select id from credential_uses order by id")]


async def test_verdicts_tokens_and_trust_outlive_the_database(
    settings: ServiceSettings, database: str, servers: Servers, plain_client: Client, eventually: Eventually
) -> None:
    ask = RpcClient(plain_client)
    async with running_auth(settings), running_auth(settings):
        made = await new_account(ask)
        client = await new_client(ask, made.account)
        token = (await issue(ask, client)).access_token
        await take_away(servers.database_url, database)
        for _ in range(10):
            assert (await verify(ask, "api_key", made.api_key)).account == made.account
            assert (await verify(ask, "client", client.client_id)).account == made.account
            assert (await verify(ask, "api_key", "x" * 48)).account is None
            assert (await introspect(ask, client, token)).active
            assert (await introspect(ask, client, (await issue(ask, client)).access_token)).active
            assert len((await trust(ask)).keys) == 1
        with pytest.raises(Invalid):
            await issue(ask, ClientCreated(client_id=client.client_id, client_secret="wrong"))
        revocation = RevokeToken(client_id=client.client_id, secret=digest(client.client_secret), token=token)
        for put in (
            question(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name="other"), 20),
            question(registry.AUTH_TOKEN_REVOKE, revocation, 20),
        ):
            with pytest.raises(Unavailable):
                await put(ask)
        assert (await introspect(ask, client, token)).active
        await give_back(servers.database_url, database)

        async def revoked() -> bool:
            try:
                await ask.ask(registry.AUTH_TOKEN_REVOKE, revocation, timeout=20)
            except Unavailable:
                return False
            return not (await introspect(ask, client, token)).active

        await eventually(revoked)
    # What was gathered while nothing could be stored was stored with the end.
    async with connected_pool(settings, "test") as pool:
        assert client.client_id in await used(pool)
        assert await pool.fetchval("select count(*) from audit where verb = 'token.refused'") == 1


async def test_last_use_is_written_behind_once_a_minute(
    settings: ServiceSettings, plain_client: Client, pool: Pool
) -> None:
    ask = RpcClient(plain_client)
    async with running_auth(settings):
        made = await new_account(ask)
        client = await new_client(ask, made.account)
        await asyncio.gather(*(verify(ask, "api_key", made.api_key) for _ in range(50)))
        await issue(ask, client)
        assert await used(pool) == []
        epoch = (await trust(ask)).epoch
    assert len(await used(pool)) == 2
    assert await pool.fetchval("select epoch from auth_epoch") == epoch
    await pool.execute("update credential_uses set used_at = now() + interval '1 hour'")
    async with running_auth(settings):
        await verify(ask, "api_key", made.api_key)
    assert await pool.fetchval("select min(used_at) > now() + interval '50 minutes' from credential_uses")
