"""People: how they sign in, how guessing is slowed, and what nobody can read in the tables."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher
from nats.aio.client import Client

from services.auth.hashing import AT_ONCE, MAX_WAITING, Hashing
from services.auth.store.users import Slowness
from services.auth.store.users import Users as UserStore
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.people import (
    CheckUser,
    CreateLink,
    CreateUser,
    ListUsers,
    Role,
    SetPassword,
    SetUser,
    UseLink,
    User,
)
from shared.db.pool import Pool
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.auths import QUICK_HASHER, new_account, running_auth
from tests.support.questions import question

PASSWORD = "velvet otter 42"
LOGIN = "ana@example.org"


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client) -> AsyncIterator[RpcClient]:
    async with running_auth(settings):
        yield RpcClient(plain_client)


@pytest.fixture
async def account(ask: RpcClient) -> int:
    return (await new_account(ask)).account


async def new_user(
    ask: RpcClient, account: int, *, login: str = LOGIN, password: str | None = PASSWORD, role: Role = "member"
) -> User:
    request = CreateUser(account=account, login=login, password=password, role=role)
    return await ask.ask(registry.AUTH_USER_CREATE, request, 20)


async def check(ask: RpcClient, login: str = LOGIN, password: str = PASSWORD) -> User:
    request = CheckUser(login=login, password=password, address="192.0.2.7")
    return await ask.ask(registry.AUTH_USER_CHECK, request, 20)


async def test_a_user_signs_in_with_the_password(ask: RpcClient, account: int) -> None:
    made = await new_user(ask, account, role="owner", login="Ana@Example.org")
    assert (made.login, made.role, made.has_password, made.last_sign_in_at) == (LOGIN, "owner", True, None)
    assert (await check(ask, login=" ANA@example.org ")).id == made.id
    (listed,) = (await ask.ask(registry.AUTH_USER_LIST, ListUsers(account))).users
    assert listed.last_sign_in_at is not None


async def test_who_does_not_sign_in_is_told_nothing_more(ask: RpcClient, account: int) -> None:
    user = await new_user(ask, account)
    await new_user(ask, account, login="link@example.org", password=None)
    told = set()
    for login, password in (
        (LOGIN, "wrong"),
        ("nobody@example.org", PASSWORD),
        ("link@example.org", ""),
        ("", ""),
        ("\0", "\0"),
        (LOGIN + "x" * 100_000, PASSWORD + "x" * 100_000),
    ):
        with pytest.raises(Forbidden) as refused:
            await check(ask, login, password)
        told.add(str(refused.value))
    await ask.ask(registry.AUTH_USER_SET, SetUser(account=account, id=user.id, disabled=True))
    with pytest.raises(Forbidden) as refused:
        await check(ask)
    assert told == {str(refused.value)}


async def test_roles_change_and_disabled_users_come_back(ask: RpcClient, account: int) -> None:
    user = await new_user(ask, account)
    for change in ({"role": "viewer"}, {"disabled": True}, {"disabled": False}):
        user = await ask.ask(registry.AUTH_USER_SET, SetUser(account=account, id=user.id, **change))
    assert (user.role, user.disabled) == ("viewer", False)
    assert (await check(ask)).role == "viewer"


async def test_another_password_ends_the_one_before(ask: RpcClient, account: int) -> None:
    user = await new_user(ask, account)
    request = SetPassword(account=account, id=user.id, password="copper lantern 7")
    await ask.ask(registry.AUTH_USER_SET_PASSWORD, request, 20)
    with pytest.raises(Forbidden):
        await check(ask)
    assert (await check(ask, password="copper lantern 7")).id == user.id


async def test_users_belong_to_their_account(ask: RpcClient, account: int) -> None:
    user, other = await new_user(ask, account, password=None), (await new_account(ask, "other")).account
    for put in (
        question(registry.AUTH_USER_SET, SetUser(account=other, id=user.id, role="owner")),
        question(registry.AUTH_USER_SET_PASSWORD, SetPassword(account=other, id=user.id, password=PASSWORD)),
        question(registry.AUTH_LINK_CREATE, CreateLink(account=other, id=user.id)),
        question(registry.AUTH_USER_LIST, ListUsers(99)),
        question(registry.AUTH_USER_CREATE, CreateUser(account=99, login="x@example.org")),
    ):
        with pytest.raises(NotFound):
            await put(ask)
    assert (await ask.ask(registry.AUTH_USER_LIST, ListUsers(other))).users == []


async def test_a_login_is_taken_once_and_passwords_are_judged(ask: RpcClient, account: int) -> None:
    await new_user(ask, account, password=None)
    with pytest.raises(Conflict) as taken:
        await new_user(ask, account, password=None, login="ANA@example.org")
    assert taken.value.code == "login_taken"
    for login, password, code in (("ana", PASSWORD, "invalid_login"), (LOGIN, "password1234", "invalid_password")):
        with pytest.raises(Invalid) as refused:
            await new_user(ask, account, login=login, password=password)
        assert refused.value.code == code


async def test_the_table_holds_argon2id_hashes_only(ask: RpcClient, account: int, pool: Pool) -> None:
    user = await new_user(ask, account)
    link = await ask.ask(registry.AUTH_LINK_CREATE, CreateLink(account=account, id=user.id))
    assert (await pool.fetchval("select password from users")).startswith("$argon2id$")
    for table in ("users", "sign_in_links", "audit"):
        text = str(await pool.fetch(f"select t::text from {table} t"))
        assert PASSWORD not in text
        assert link.token not in text


async def test_guessing_one_login_becomes_slow_whether_or_not_anybody_has_it(pool: Pool) -> None:
    store = UserStore(pool)
    slowness = Slowness(free=3)
    for login in (b"a", b"b"):
        assert [await store.admit_try(login, slowness) for _ in range(5)] == [True, True, True, False, False]
    await pool.execute("update sign_in_tries set next_at = now() where login = 'a'")
    assert [await store.admit_try(b"a", slowness) for _ in range(2)] == [True, False]
    pause = await pool.fetchval(
        "select extract(epoch from next_at - last_at)::int from sign_in_tries where login = 'a'"
    )
    assert pause == 2
    await pool.execute("update sign_in_tries set tries = 1000, next_at = now() where login = 'a'")
    await store.admit_try(b"a", slowness)
    pause = await pool.fetchval(
        "select extract(epoch from next_at - last_at)::int from sign_in_tries where login = 'a'"
    )
    assert pause == slowness.longest_s
    await pool.execute("update sign_in_tries set next_at = now(), last_at = now() - interval '2 hours'")
    assert [await store.admit_try(b"a", slowness) for _ in range(3)] == [True, True, True]


async def test_many_tries_at_once_count_as_many(ask: RpcClient) -> None:
    outcomes = await asyncio.gather(*(check(ask, password="wrong") for _ in range(12)), return_exceptions=True)
    judged = [each for each in outcomes if isinstance(each, Forbidden)]
    slowed = [each for each in outcomes if isinstance(each, Conflict) and each.code == "slow_down"]
    assert (len(judged), len(judged) + len(slowed)) == (Slowness().free, 12)


async def test_signing_in_forgets_the_tries(ask: RpcClient, account: int, pool: Pool) -> None:
    await new_user(ask, account)
    with pytest.raises(Forbidden):
        await check(ask, password="wrong")
    assert await pool.fetchval("select tries from sign_in_tries") == 1
    await check(ask)
    assert await pool.fetchval("select count(*) from sign_in_tries") == 0


async def test_a_hash_of_older_parameters_is_made_anew(ask: RpcClient, account: int, pool: Pool) -> None:
    await new_user(ask, account, password=None)
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await pool.execute("update users set password = $1", old)
    await check(ask)
    better = await pool.fetchval("select password from users")
    assert better != old
    assert not QUICK_HASHER.check_needs_rehash(better)
    await check(ask)


async def test_a_link_signs_in_once(ask: RpcClient, account: int) -> None:
    user = await new_user(ask, account, password=None)
    made = await ask.ask(registry.AUTH_LINK_CREATE, CreateLink(account=account, id=user.id))
    use = UseLink(digest=digest(made.token), address="192.0.2.7")
    outcomes = await asyncio.gather(*(ask.ask(registry.AUTH_LINK_USE, use) for _ in range(5)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Forbidden"] * 4 + ["User"]


async def test_a_link_ends_with_its_time_and_with_its_user(ask: RpcClient, account: int, pool: Pool) -> None:
    user = await new_user(ask, account, password=None)
    old, other = [await ask.ask(registry.AUTH_LINK_CREATE, CreateLink(account=account, id=user.id)) for _ in range(2)]
    await pool.execute(
        "update sign_in_links set expires_at = now() - interval '1 second' where digest = $1", digest(old.token)
    )
    await ask.ask(registry.AUTH_USER_SET, SetUser(account=account, id=user.id, disabled=True))
    for token in (old.token, other.token, "unknown"):
        with pytest.raises(Forbidden):
            await ask.ask(registry.AUTH_LINK_USE, UseLink(digest=digest(token), address=""))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_LINK_CREATE, CreateLink(account=account, id=user.id))


async def test_more_hashes_than_wait_are_turned_away() -> None:
    hashing = Hashing(QUICK_HASHER)
    *waiting, one_more = [asyncio.ensure_future(hashing.check(None, "x")) for _ in range(AT_ONCE + MAX_WAITING + 1)]
    with pytest.raises(Unavailable):
        await one_more
    hashing.close()
    await asyncio.gather(*waiting, return_exceptions=True)
