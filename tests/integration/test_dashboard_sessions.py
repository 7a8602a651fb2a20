"""Sessions in Valkey: what is stored, when they end, and what happens without it."""

from collections.abc import AsyncIterator
from typing import cast

import msgspec
import pytest
from redis.asyncio import Redis

from deploy.local.ports import free_port
from services.gateway.dashboard.door.sessions import IDLE_S, LIVES_S, MAX_OF_USER, Sessions, csrf_of
from shared.contracts.rpc.people import User, session_digest
from shared.errors import Startup, Unavailable
from shared.runtime.settings import ServiceSettings
from tests.support.auths import Clock

ANA = User(
    id="usr_1",
    account=7,
    login="ana@example.org",
    role="owner",
    disabled=False,
    has_password=True,
    created_at=0.0,
    last_sign_in_at=None,
    generation=3,
)
BOB = msgspec.structs.replace(ANA, id="usr_2", login="bob@example.org")


@pytest.fixture
async def valkey(settings: ServiceSettings) -> AsyncIterator[Redis]:
    assert settings.redis_url is not None
    client = Redis.from_url(settings.redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sessions(settings: ServiceSettings, valkey: Redis, clock: Clock) -> AsyncIterator[Sessions]:
    made = Sessions(settings.redis_url, clock)
    yield made
    await made.close_client()


async def test_a_session_is_found_by_its_token_alone(sessions: Sessions) -> None:
    await sessions.reach()
    token, opened = await sessions.open(ANA)
    assert await sessions.find(token) == opened
    assert (opened.user, opened.account, opened.login) == ("usr_1", 7, "ana@example.org")
    assert opened.digest() == session_digest("usr_1", 3)
    assert opened.csrf == csrf_of(token)
    assert len({token, opened.csrf, *(await sessions.open(ANA))}) == 4
    for wrong in ("", "x", token[:-1], token + "0", "0" * 64, token.upper(), opened.csrf):
        assert await sessions.find(wrong) is None


async def test_nothing_that_is_stored_lets_anybody_in(sessions: Sessions, valkey: Redis) -> None:
    token, opened = await sessions.open(ANA)
    # This client does not decode what it reads; the types of redis-py leave both open.
    names = cast(list[bytes], await valkey.keys("*"))
    values = [await valkey.get(name) for name in names if name.startswith(b"session:")]
    stored = [*names, *cast(list[bytes], values)]
    assert len(stored) == 3
    told = b" ".join(stored)
    for secret in (token, bytes.fromhex(token), opened.csrf, bytes.fromhex(opened.csrf)):
        assert (secret.encode() if isinstance(secret, str) else secret) not in told


async def test_a_session_ends_when_it_is_idle_and_with_its_time(
    sessions: Sessions, valkey: Redis, clock: Clock
) -> None:
    token, _ = await sessions.open(ANA)
    (name,) = await valkey.keys("session:*")
    assert IDLE_S - 5 < await valkey.ttl(name) <= IDLE_S
    await valkey.expire(name, 10)
    assert await sessions.find(token) is not None
    assert IDLE_S - 5 < await valkey.ttl(name) <= IDLE_S
    clock.ahead = LIVES_S - 5
    assert await sessions.find(token) is not None
    clock.ahead = LIVES_S
    assert await sessions.find(token) is None


async def test_closing_ends_one_and_closing_all_ends_a_users(sessions: Sessions, valkey: Redis) -> None:
    first, second, third = [(await sessions.open(ANA))[0] for _ in range(3)]
    other, _ = await sessions.open(BOB)
    await sessions.close(first)
    await sessions.close("unknown")
    assert [await sessions.find(token) is None for token in (first, second, third)] == [True, False, False]
    await sessions.close_all(ANA.id)
    await sessions.close_all("usr_nobody")
    assert [await sessions.find(token) is None for token in (second, third, other)] == [True, True, False]
    assert len(await valkey.keys("*")) == 2


async def test_a_user_has_a_bounded_number_and_loses_the_oldest(sessions: Sessions, clock: Clock) -> None:
    tokens = []
    for _ in range(MAX_OF_USER + 2):
        clock.ahead += 1
        tokens.append((await sessions.open(ANA))[0])
    assert [await sessions.find(token) is None for token in tokens[:4]] == [True, True, False, False]


async def test_what_another_version_stored_is_no_session(sessions: Sessions, valkey: Redis) -> None:
    token, _ = await sessions.open(ANA)
    (name,) = await valkey.keys("session:*")
    for junk in (b"", b"\xc1", b"\x80", b"\x93\x01\x02\x03"):
        await valkey.set(name, junk)
        assert await sessions.find(token) is None


async def test_without_valkey_nobody_is_let_in_and_nobody_is_lied_to(clock: Clock) -> None:
    with pytest.raises(Startup):
        Sessions("http://valkey", clock)
    for url, said in ((None, "SMSFLEET_REDIS_URL"), (f"redis://127.0.0.1:{free_port()}", "cannot be reached")):
        away = Sessions(url, clock)
        for asked in (away.reach(), away.open(ANA), away.find("0" * 64), away.close("0" * 64), away.close_all("usr_1")):
            with pytest.raises(Unavailable, match=said):
                await asked
        await away.close_client()
