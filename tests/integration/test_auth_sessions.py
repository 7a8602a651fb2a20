"""What auth says of users' sessions: a role's rights, and the end of them at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from services.gateway.scopes import SCOPES
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import SetAccount, Verdict, Verify
from shared.contracts.rpc.people import (
    CheckUser,
    CreateLink,
    CreateUser,
    Role,
    SetPassword,
    SetUser,
    SignOutUser,
    UseLink,
    User,
    session_digest,
)
from shared.db.pool import Pool
from shared.errors import Conflict, Forbidden, NotFound
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.auths import new_account, running_auth
from tests.support.questions import Named, question

PASSWORD = "velvet otter 42"


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client) -> AsyncIterator[RpcClient]:
    async with running_auth(settings):
        yield RpcClient(plain_client)


@pytest.fixture
async def account(ask: RpcClient) -> int:
    return (await new_account(ask)).account


async def new_user(ask: RpcClient, account: int, name: str, role: Role = "owner") -> User:
    request = CreateUser(account=account, login=f"{name}@example.org", role=role, password=PASSWORD)
    return await ask.ask(registry.AUTH_USER_CREATE, request, 20)


async def check(ask: RpcClient, user: User, password: str = PASSWORD) -> User:
    return await ask.ask(
        registry.AUTH_USER_CHECK, CheckUser(login=user.login, password=password, address="192.0.2.7"), 20
    )


async def verdict(ask: RpcClient, user: User) -> Verdict:
    return await ask.ask(registry.AUTH_VERIFY, Verify("user", session_digest(user.id, user.generation)))


async def test_a_session_is_worth_what_the_users_role_allows(ask: RpcClient, account: int) -> None:
    owner = await new_user(ask, account, "ana")
    member = await new_user(ask, account, "bob", "member")
    viewer = await new_user(ask, account, "eve", "viewer")
    found = await verdict(ask, owner)
    assert (found.account, found.subject, found.active, found.scopes) == (account, owner.id, True, list(SCOPES))
    assert set((await verdict(ask, member)).scopes) == set(SCOPES) - {"account:manage"}
    assert (await verdict(ask, viewer)).scopes == ["sms:read", "devices:read"]
    await ask.ask(registry.AUTH_USER_SET, SetUser(account=account, id=viewer.id, role="member"))
    assert "sms:send" in (await verdict(ask, viewer)).scopes
    await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=account, status="suspended"))
    assert not (await verdict(ask, owner)).active


async def test_sessions_and_links_end_with_the_password_the_user_and_a_sign_out(ask: RpcClient, account: int) -> None:
    await new_user(ask, account, "ana")
    user = await new_user(ask, account, "bob")
    known: Named = {"account": account, "id": user.id}
    for put, disables in (
        (question(registry.AUTH_USER_SET_PASSWORD, SetPassword(**known, password="copper lantern 7"), 20), False),
        (question(registry.AUTH_USER_SIGN_OUT, SignOutUser(**known), 20), False),
        (question(registry.AUTH_USER_SET, SetUser(**known, disabled=True), 20), True),
    ):
        assert (await verdict(ask, user)).account == account
        link = await ask.ask(registry.AUTH_LINK_CREATE, CreateLink(**known))
        await put(ask)
        assert (await verdict(ask, user)).account is None
        with pytest.raises(Forbidden):
            await ask.ask(registry.AUTH_LINK_USE, UseLink(digest=digest(link.token), address="192.0.2.7"))
        if not disables:
            user = await check(ask, user, "copper lantern 7")
    enabled = await ask.ask(registry.AUTH_USER_SET, SetUser(**known, disabled=False))
    assert (await verdict(ask, user)).account is None
    assert (await verdict(ask, enabled)).account == account
    made = await ask.ask(registry.AUTH_LINK_CREATE, CreateLink(**known))
    by_link = await ask.ask(registry.AUTH_LINK_USE, UseLink(digest=digest(made.token), address="192.0.2.7"))
    assert by_link.generation == enabled.generation


async def test_signing_in_and_enabling_twice_end_no_session(ask: RpcClient, account: int, pool: Pool) -> None:
    user = await new_user(ask, account, "ana")
    epoch = await pool.fetchval("select epoch from auth_epoch")
    assert (await check(ask, user)).generation == user.generation
    assert await pool.fetchval("select epoch from auth_epoch") == epoch
    await ask.ask(registry.AUTH_USER_SET, SetUser(account=account, id=user.id, disabled=False, role="owner"))
    assert (await verdict(ask, user)).account == account


async def test_an_account_keeps_an_owner_who_can_sign_in(ask: RpcClient, account: int) -> None:
    ana, bob = await new_user(ask, account, "ana"), await new_user(ask, account, "bob")
    await new_user(ask, (await new_account(ask, "other")).account, "eve")
    changes = [
        SetUser(account=account, id=ana.id, disabled=True),
        SetUser(account=account, id=bob.id, role="viewer"),
    ]
    outcomes = await asyncio.gather(
        *(ask.ask(registry.AUTH_USER_SET, change) for change in changes), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "User"]
    (refused,) = [each for each in outcomes if isinstance(each, Conflict)]
    assert refused.code == "last_owner"
    for change in changes:
        last = next(user for user in (ana, bob) if user.id == change.id)
        if (await verdict(ask, last)).account and "account:manage" in (await verdict(ask, last)).scopes:
            for wish in ({"disabled": True}, {"role": "member"}, {"role": "viewer", "disabled": False}):
                with pytest.raises(Conflict):
                    await ask.ask(registry.AUTH_USER_SET, SetUser(account=account, id=last.id, **wish))


async def test_nobody_is_signed_out_of_another_account(ask: RpcClient, account: int) -> None:
    user, other = await new_user(ask, account, "ana"), (await new_account(ask, "other")).account
    for request in (SignOutUser(account=other, id=user.id), SignOutUser(account=account, id="usr_unknown")):
        with pytest.raises(NotFound):
            await ask.ask(registry.AUTH_USER_SIGN_OUT, request)
    assert (await verdict(ask, user)).account == account
