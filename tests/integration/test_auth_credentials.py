"""API keys and enrolment keys beyond their first day: expiry, rotation, revocation, and whose they are."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.audit import Actor, ListAudit
from shared.contracts.rpc.auth import (
    CreateKey,
    Enrol,
    Enrolled,
    ListKeys,
    RevokeDevice,
    RevokeKey,
    RotateKey,
    SetAccount,
)
from shared.contracts.rpc.clients import (
    CreateClient,
    CreateEnrolmentKey,
    EnrolmentKeyCreated,
    ListClients,
    ListEnrolmentKeys,
    RevokeClient,
    RevokeEnrolmentKey,
    RotateClient,
)
from shared.contracts.rpc.people import SetUser
from shared.errors import Forbidden, Invalid, NotFound
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.auths import Clock, new_account, new_client, running_auth, verify
from tests.support.questions import question


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client, clock: Clock) -> AsyncIterator[RpcClient]:
    async with running_auth(settings, clock):
        yield RpcClient(plain_client)


@pytest.fixture
async def account(ask: RpcClient) -> int:
    return (await new_account(ask)).account


async def enrolment_key(ask: RpcClient, account: int, **more: Any) -> EnrolmentKeyCreated:
    return await ask.ask(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=account, **more))


async def enrol(ask: RpcClient, key: EnrolmentKeyCreated) -> Enrolled:
    return await ask.ask(registry.AUTH_ENROL, Enrol(digest=digest(key.enrolment_key)))


async def test_a_key_expires(ask: RpcClient, account: int, clock: Clock) -> None:
    made = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="short", lives_s=60))
    assert (await verify(ask, "api_key", made.api_key)).account == account
    clock.ahead = 61
    assert (await verify(ask, "api_key", made.api_key)).account is None


async def test_a_rotated_key_keeps_its_id_and_its_former_secret_for_a_while(
    ask: RpcClient, account: int, clock: Clock
) -> None:
    first = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="shop"))
    second = await ask.ask(registry.AUTH_KEY_ROTATE, RotateKey(account=account, id=first.id, overlap_s=3600))
    assert second.id == first.id
    for made in (first, second):
        assert (await verify(ask, "api_key", made.api_key)).subject == first.id
    listed = (await ask.ask(registry.AUTH_KEY_LIST, ListKeys(account))).keys[0]
    assert (listed.prefix, listed.old_until is not None) == (second.api_key[:6], True)
    clock.ahead = 3601
    assert [(await verify(ask, "api_key", each.api_key)).account for each in (first, second)] == [None, account]
    third = await ask.ask(registry.AUTH_KEY_ROTATE, RotateKey(account=account, id=first.id))
    assert [(await verify(ask, "api_key", each.api_key)).account for each in (second, third)] == [None, account]


async def test_lifetimes_and_limits_are_checked(ask: RpcClient, account: int) -> None:
    made = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="shop"))
    for put, code in (
        (question(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="x", lives_s=0)), "invalid_life"),
        (question(registry.AUTH_KEY_ROTATE, RotateKey(account=account, id=made.id, overlap_s=-1)), "invalid_overlap"),
        (question(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name="x", lives_s=1)), "invalid_life"),
        (
            question(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name="x", scopes=["root"])),
            "invalid_scope",
        ),
        (question(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name="")), "invalid_name"),
        (question(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=account, lives_s=-5)), "invalid_life"),
        (question(registry.AUTH_ACCOUNT_SET, SetAccount(account=account, daily_sends=-1)), "invalid_limit"),
    ):
        with pytest.raises(Invalid) as refused:
            await put(ask)
        assert refused.value.code == code


@pytest.mark.parametrize(
    "request_",
    [
        RevokeKey(account=1, id="a\0b"),
        RevokeKey(account=2**63, id="x"),
        RotateKey(account=2**64 - 1, id="x"),
        RevokeClient(account=1, client_id="\0"),
        RevokeEnrolmentKey(account=1, id="\0"),
        RevokeDevice(account=1, device="\0"),
        RevokeKey(account=1, id="x", actor=Actor("\0", "\0")),
        SetUser(account=1, id="\0", role="owner"),
        ListKeys(2**63),
        ListAudit(before=2**63),
        CreateKey(account=1, name="x", actor=Actor("\0", "\0")),
    ],
)
async def test_what_no_row_could_have_is_refused_cleanly(ask: RpcClient, account: int, request_: Any) -> None:
    contract = next(each for each in registry.contracts().values() if each.request is type(request_))
    with pytest.raises((Invalid, NotFound)):
        await ask.ask(contract, request_)


async def test_everything_belongs_to_its_account(ask: RpcClient, account: int) -> None:
    other = (await new_account(ask, "other")).account
    key = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="shop"))
    client, enrolment = await new_client(ask, account), await enrolment_key(ask, account)
    for put in (
        question(registry.AUTH_KEY_ROTATE, RotateKey(account=other, id=key.id)),
        question(registry.AUTH_CLIENT_ROTATE, RotateClient(account=other, client_id=client.client_id)),
        question(registry.AUTH_CLIENT_REVOKE, RevokeClient(account=other, client_id=client.client_id)),
        question(registry.AUTH_ENROLMENT_REVOKE, RevokeEnrolmentKey(account=other, id=enrolment.id)),
        question(registry.AUTH_CLIENT_LIST, ListClients(99)),
        question(registry.AUTH_CLIENT_CREATE, CreateClient(account=99, name="x")),
        question(registry.AUTH_ENROLMENT_LIST, ListEnrolmentKeys(99)),
        question(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=99)),
    ):
        with pytest.raises(NotFound):
            await put(ask)
    assert (await ask.ask(registry.AUTH_CLIENT_LIST, ListClients(other))).clients == []


async def test_what_has_ended_is_not_rotated(ask: RpcClient, account: int) -> None:
    client = await new_client(ask, account)
    await ask.ask(registry.AUTH_CLIENT_REVOKE, RevokeClient(account=account, client_id=client.client_id))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_CLIENT_ROTATE, RotateClient(account=account, client_id=client.client_id))
    (listed,) = (await ask.ask(registry.AUTH_CLIENT_LIST, ListClients(account))).clients
    assert listed.revoked_at is not None


async def test_an_enrolment_key_is_for_one_phone_and_an_hour_unless_told(ask: RpcClient, account: int) -> None:
    made = await enrolment_key(ask, account)
    first, second = await enrol(ask, made), await enrol(ask, made)
    assert (first.device, first.approved) == (second.device, True)
    assert (await verify(ask, "device_token", first.token)).account is None
    listed = (await ask.ask(registry.AUTH_ENROLMENT_LIST, ListEnrolmentKeys(account))).keys[0]
    assert (listed.id, listed.multi, listed.device, listed.devices) == (made.id, False, first.device, 1)
    assert listed.expires_at == made.expires_at
    assert listed.expires_at is not None
    assert round(listed.expires_at - listed.created_at) == 3600


@pytest.mark.parametrize("approve", [True, False])
async def test_a_multi_use_key_s_phones_wait_unless_it_approves(ask: RpcClient, account: int, approve: bool) -> None:
    made = await enrolment_key(ask, account, multi=True, approve=approve, lives_s=None)
    assert made.expires_at is None
    first, second = await enrol(ask, made), await enrol(ask, made)
    assert first.device != second.device
    assert first.approved is second.approved is approve


async def test_a_revoked_key_lets_nobody_in_and_puts_nobody_out(ask: RpcClient, account: int) -> None:
    made = await enrolment_key(ask, account)
    enrolled = await enrol(ask, made)
    await ask.ask(registry.AUTH_ENROLMENT_REVOKE, RevokeEnrolmentKey(account=account, id=made.id))
    with pytest.raises(Forbidden):
        await enrol(ask, made)
    assert (await verify(ask, "enrolment_key", made.enrolment_key)).account is None
    assert (await verify(ask, "device_token", enrolled.token)).subject == enrolled.device


async def test_daily_sends_are_in_the_verdict(ask: RpcClient, account: int) -> None:
    client = await new_client(ask, account)
    assert (await verify(ask, "client", client.client_id)).daily_sends is None
    for limit, told in ((500, 500), (0, None)):
        await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=account, daily_sends=limit))
        assert (await verify(ask, "client", client.client_id)).daily_sends == told
