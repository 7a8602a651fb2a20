"""Access tokens from their issue to their end, over NATS; what a section of an RFC asks of auth is named after it."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client

from services.auth.tokens import Claims
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.auth import IssueToken, RevokeToken, SetAccount
from shared.contracts.rpc.clients import ClientCreated, RevokeClient, RotateClient
from shared.errors import Conflict, Invalid
from shared.runtime.settings import ServiceSettings
from shared.security.jwt import opened, verifying_key
from shared.security.secrets import digest
from tests.conftest import Eventually
from tests.support.auths import Clock, introspect, issue, new_account, new_client, running_auth, trust, verify

ISSUER = "http://127.0.0.1:8080"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client, clock: Clock) -> AsyncIterator[RpcClient]:
    async with running_auth(settings, clock):
        yield RpcClient(plain_client)


@pytest.fixture
async def client(ask: RpcClient) -> ClientCreated:
    return await new_client(ask, (await new_account(ask)).account, "sms:send", "sms:read")


async def claims(ask: RpcClient, token: str) -> Claims:
    keys = {each.kid: verifying_key(each.public) for each in (await trust(ask)).keys}
    return msgspec.convert(opened(token, keys), Claims)


async def revoke(ask: RpcClient, client: ClientCreated, token: str) -> None:
    request = RevokeToken(client_id=client.client_id, secret=digest(client.client_secret), token=token)
    assert await ask.ask(registry.AUTH_TOKEN_REVOKE, request) == Done()


async def test_rfc9068_2_a_token_verifies_by_the_published_keys(ask: RpcClient, client: ClientCreated) -> None:
    issued = await issue(ask, client)
    assert (issued.expires_in, issued.scope) == (3600, "sms:send sms:read")
    told = await claims(ask, issued.access_token)
    assert (told.iss, told.aud, told.sub, told.client_id) == (ISSUER, ISSUER, client.client_id, client.client_id)
    assert (told.scope, told.exp - told.iat) == (issued.scope, 3600)
    assert (await trust(ask)).issuer == ISSUER


async def test_a_client_looks_as_the_commercial_one_and_has_a_verdict(ask: RpcClient, client: ClientCreated) -> None:
    assert (len(client.client_id), len(client.client_secret)) == (32, 64)
    verdict = await verify(ask, "client", client.client_id)
    assert (verdict.subject, verdict.scopes, verdict.active) == (client.client_id, ["sms:send", "sms:read"], True)
    assert (await verify(ask, "client", client.client_secret)).account is None


async def test_settings_change_lifetime_and_issuer(settings: ServiceSettings, plain_client: Client) -> None:
    ask = RpcClient(plain_client)
    async with running_auth(settings, public_url="https://sms.example.org/", token_ttl_s=60):
        issued = await issue(ask, await new_client(ask, (await new_account(ask)).account))
        assert issued.expires_in == 60
        assert (await claims(ask, issued.access_token)).iss == "https://sms.example.org"


async def test_rfc6749_3_3_scope_is_a_subset_or_refused(ask: RpcClient, client: ClientCreated) -> None:
    assert (await issue(ask, client, "sms:read")).scope == "sms:read"
    with pytest.raises(Invalid) as refused:
        await issue(ask, client, "sms:read sms:delete")
    assert refused.value.code == "invalid_scope"


async def test_rfc6749_5_2_who_is_not_the_client_gets_no_token(ask: RpcClient, client: ClientCreated) -> None:
    right = digest(client.client_secret)
    for client_id, secret in (
        (client.client_id, digest("x" * 64)),
        (client.client_id, b""),
        ("0" * 32, right),
        ("", right),
        ("x\0" * 3000, right),
    ):
        request = IssueToken(client_id=client_id, secret=secret, scope=None, address="192.0.2.7")
        with pytest.raises(Invalid) as refused:
            await ask.ask(registry.AUTH_TOKEN_ISSUE, request)
        assert refused.value.code == "invalid_client"


async def test_rfc6749_5_2_a_suspended_account_s_client_is_unauthorized(ask: RpcClient) -> None:
    account = (await new_account(ask)).account
    client = await new_client(ask, account)
    token = (await issue(ask, client)).access_token
    await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=account, status="suspended"))
    with pytest.raises(Conflict) as refused:
        await issue(ask, client)
    assert refused.value.code == "unauthorized_client"
    assert not (await introspect(ask, client, token)).active
    assert not (await verify(ask, "client", client.client_id)).active


async def test_a_client_ends_by_its_time_and_by_revocation(ask: RpcClient, clock: Clock) -> None:
    account = (await new_account(ask)).account
    short, other = await new_client(ask, account, lives_s=60), await new_client(ask, account)
    token = (await issue(ask, other)).access_token
    await ask.ask(registry.AUTH_CLIENT_REVOKE, RevokeClient(account=account, client_id=other.client_id))
    clock.ahead = 61
    for ended in (short, other):
        assert (await verify(ask, "client", ended.client_id)).account is None
        with pytest.raises(Invalid):
            await issue(ask, ended)
    asking = await new_client(ask, account)
    assert not (await introspect(ask, asking, token)).active


async def test_a_rotated_secret_overlaps_as_long_as_told(ask: RpcClient, client: ClientCreated, clock: Clock) -> None:
    account = (await verify(ask, "client", client.client_id)).account
    assert account is not None
    rotated = await ask.ask(
        registry.AUTH_CLIENT_ROTATE, RotateClient(account=account, client_id=client.client_id, overlap_s=3600)
    )
    assert rotated.client_id == client.client_id
    await issue(ask, client)
    await issue(ask, rotated)
    clock.ahead = 3601
    await issue(ask, rotated)
    with pytest.raises(Invalid):
        await issue(ask, client)
    again = await ask.ask(registry.AUTH_CLIENT_ROTATE, RotateClient(account=account, client_id=client.client_id))
    await issue(ask, again)
    with pytest.raises(Invalid):
        await issue(ask, rotated)


async def test_rfc7662_2_2_a_living_token_has_facts(ask: RpcClient, client: ClientCreated) -> None:
    issued = await issue(ask, client, "sms:send")
    facts = await introspect(ask, client, issued.access_token)
    told = await claims(ask, issued.access_token)
    assert (facts.active, facts.token_type, facts.scope) == (True, "Bearer", "sms:send")
    assert (facts.client_id, facts.sub, facts.iss, facts.aud) == (client.client_id, told.sub, told.iss, told.aud)
    assert (facts.jti, facts.iat, facts.exp) == (told.jti, told.iat, told.exp)


async def test_rfc7662_2_2_a_dead_token_has_no_facts(ask: RpcClient, client: ClientCreated, clock: Clock) -> None:
    token = (await issue(ask, client)).access_token
    for dead in ("", "nonsense", token[:-4] + "AAAA", token + "x"):
        assert msgspec.to_builtins(await introspect(ask, client, dead)) == {"type": "token_facts", "active": False}
    clock.ahead = 3600 + 61
    assert not (await introspect(ask, client, token)).active


async def test_rfc7662_4_another_account_s_token_is_inactive(ask: RpcClient, client: ClientCreated) -> None:
    stranger = await new_client(ask, (await new_account(ask, "other")).account)
    token = (await issue(ask, client)).access_token
    assert not (await introspect(ask, stranger, token)).active
    assert (await introspect(ask, client, token)).active


async def test_rfc7662_2_1_who_asks_must_be_a_client(ask: RpcClient, client: ClientCreated) -> None:
    token = (await issue(ask, client)).access_token
    with pytest.raises(Invalid) as refused:
        await introspect(ask, ClientCreated(client_id=client.client_id, client_secret="wrong"), token)
    assert refused.value.code == "invalid_client"


async def test_rfc7009_2_1_a_revoked_token_ends_at_once(ask: RpcClient, client: ClientCreated) -> None:
    token, other = (await issue(ask, client)).access_token, (await issue(ask, client)).access_token
    before = (await trust(ask)).epoch
    await revoke(ask, client, token)
    assert not (await introspect(ask, client, token)).active
    assert (await introspect(ask, client, other)).active
    after, told = await trust(ask, before), await claims(ask, token)
    assert after.epoch > before
    assert [(each.jti, each.expires_at) for each in after.revoked] == [(told.jti, told.exp)]
    assert (await trust(ask, after.epoch)).revoked == []


async def test_rfc7009_2_2_what_is_no_living_token_of_the_client_is_passed_over(
    ask: RpcClient, client: ClientCreated, clock: Clock
) -> None:
    account = (await verify(ask, "client", client.client_id)).account
    assert account is not None
    sister = await new_client(ask, account)
    token = (await issue(ask, client)).access_token
    await revoke(ask, client, "nonsense")
    await revoke(ask, sister, token)
    assert (await introspect(ask, client, token)).active
    await asyncio.gather(*(revoke(ask, client, token) for _ in range(5)))
    assert len((await trust(ask)).revoked) == 1
    old = (await issue(ask, client)).access_token
    clock.ahead = 3600 + 61
    await revoke(ask, client, old)
    assert len((await trust(ask)).revoked) == 1


async def test_a_revocation_reaches_every_replica_and_those_that_start_later(
    settings: ServiceSettings, ask: RpcClient, client: ClientCreated, eventually: Eventually
) -> None:
    token = (await issue(ask, client)).access_token
    async with running_auth(settings):
        await revoke(ask, client, token)

        # Which of the two answers is NATS' choice: twenty answers in a row are all of both.
        async def everybody_knows() -> bool:
            answers = [await introspect(ask, client, token) for _ in range(20)]
            return not any(each.active for each in answers)

        await eventually(everybody_knows)
    async with running_auth(settings):
        assert not any([(await introspect(ask, client, token)).active for _ in range(20)])
