"""Signing keys in the table and in memory: made once, rotated, sealed, and useless without the secret."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from services.auth.signing import Schedule
from services.auth.store.signing import Signing
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.audit import OPERATOR
from shared.contracts.rpc.clients import ListSigning, RotateSigning, SigningKeyInfo
from shared.db.pool import Pool
from shared.errors import Startup
from shared.runtime.settings import ServiceSettings
from shared.security.vault import Sealed
from tests.conftest import SECRET, Eventually
from tests.support.auths import Clock, introspect, issue, new_account, new_client, running_auth, trust

DAY = 86_400.0
SCHEDULE = Schedule(30 * DAY, 3600.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client, clock: Clock) -> AsyncIterator[RpcClient]:
    async with running_auth(settings, clock):
        yield RpcClient(plain_client)


def sealed(kid: str) -> Sealed:
    return Sealed("k", kid.encode())


async def signing(ask: RpcClient) -> list[SigningKeyInfo]:
    return (await ask.ask(registry.AUTH_SIGNING_LIST, ListSigning())).keys


async def rotate(ask: RpcClient, *, at_once: bool) -> list[SigningKeyInfo]:
    return (await ask.ask(registry.AUTH_SIGNING_ROTATE, RotateSigning(at_once=at_once))).keys


async def test_replicas_that_start_first_together_make_one_key(
    settings: ServiceSettings, plain_client: Client, pool: Pool
) -> None:
    ask, leave, there = RpcClient(plain_client), asyncio.Event(), asyncio.Barrier(4)

    async def replica() -> None:
        async with running_auth(settings):
            await there.wait()
            await leave.wait()

    replicas = [asyncio.create_task(replica()) for _ in range(3)]
    async with asyncio.timeout(20):
        await there.wait()
    client = await new_client(ask, (await new_account(ask)).account)
    token = (await issue(ask, client)).access_token
    answers = [await introspect(ask, client, token) for _ in range(20)]
    kids = {each.kid for each in (await trust(ask)).keys}
    leave.set()
    await asyncio.gather(*replicas)
    assert all(each.active for each in answers)
    assert await pool.fetchval("select array_agg(id) from signing_keys") == list(kids)


async def test_the_next_key_is_made_on_time_by_one_of_many(pool: Pool) -> None:
    store, start = Signing(pool, SCHEDULE), 1_000_000.0
    assert await store.tick("one", sealed, start) is not None
    assert await store.tick("early", sealed, start + 30 * DAY - 3601) is None
    due = start + 30 * DAY - 3600
    made = await asyncio.gather(*(store.tick(f"next {n}", sealed, due) for n in range(4)))
    assert sum(epoch is not None for epoch in made) == 1
    rows = await pool.fetch("select extract(epoch from signs_from)::float8 as at from signing_keys order by 1")
    assert [row["at"] for row in rows] == [start, start + 30 * DAY]


async def test_a_key_is_withdrawn_when_nothing_that_it_signed_lives(pool: Pool) -> None:
    store, start = Signing(pool, SCHEDULE), 1_000_000.0
    await store.tick("one", sealed, start)
    await store.tick("two", sealed, start + 30 * DAY - 3600)
    over = start + 30 * DAY + 3600 + 120
    await store.tick("early", sealed, over)
    assert await pool.fetchval("select count(*) from signing_keys where withdrawn_at is null") == 2
    await store.tick("late", sealed, over + 1)
    assert await pool.fetchval("select array_agg(id) from signing_keys where withdrawn_at is null") == ["two"]


async def test_a_rotation_publishes_the_next_key_before_it_signs(ask: RpcClient, clock: Clock) -> None:
    client = await new_client(ask, (await new_account(ask)).account)
    old = (await issue(ask, client)).access_token
    first, second = await rotate(ask, at_once=False)
    assert (first.state, second.state) == ("signs", "waits")
    assert len((await trust(ask)).keys) == 2
    clock.ahead = 3601
    assert [(each.kid, each.state) for each in await signing(ask)] == [(first.kid, "kept"), (second.kid, "signs")]
    new = (await issue(ask, client)).access_token
    assert [(await introspect(ask, client, token)).active for token in (old, new)] == [True, True]
    clock.ahead = 3600 + 3600 + 125
    assert [each.kid for each in await signing(ask)] == [second.kid]


async def test_a_second_rotation_before_the_first_one_signs_replaces_it(ask: RpcClient) -> None:
    signs, never = await rotate(ask, at_once=False)
    still, waits = await rotate(ask, at_once=False)
    assert still == signs
    assert (waits.state, waits.kid != never.kid) == ("waits", True)


async def test_after_a_leak_what_was_signed_before_is_worth_nothing(ask: RpcClient) -> None:
    client = await new_client(ask, (await new_account(ask)).account)
    old = (await issue(ask, client)).access_token
    (only,) = await rotate(ask, at_once=True)
    assert only.state == "signs"
    assert [each.kid for each in (await trust(ask)).keys] == [only.kid]
    assert not (await introspect(ask, client, old)).active
    assert (await introspect(ask, client, (await issue(ask, client)).access_token)).active


async def test_the_table_holds_no_private_key(ask: RpcClient, pool: Pool) -> None:
    (published,) = (await trust(ask)).keys
    row = await pool.fetchrow("select * from signing_keys")
    assert row is not None
    assert row["id"] == published.kid
    # Wrapped data key (12 + 32 + 16 bytes), then nonce, the 32 bytes and the tag: nothing is there in the clear.
    assert len(row["box"]) == 60 + 12 + 32 + 16
    assert published.public not in row["box"]


async def test_without_the_secret_auth_does_not_start(settings: ServiceSettings, pool: Pool) -> None:
    async with running_auth(settings):
        pass
    with pytest.raises(Startup, match="SMSFLEET_SECRET_KEY"):
        async with running_auth(settings, secret_key="another secret"):
            pass
    assert await pool.fetchval("select count(*) from signing_keys") == 1


async def test_a_replaced_secret_opens_what_is_older_and_seals_it_anew(
    settings: ServiceSettings, plain_client: Client, pool: Pool, eventually: Eventually
) -> None:
    ask = RpcClient(plain_client)
    async with running_auth(settings):
        client = await new_client(ask, (await new_account(ask)).account)
        token = (await issue(ask, client)).access_token
    before = await pool.fetchval("select vault_key from signing_keys")
    async with running_auth(settings, secret_key="n" * 64, secret_key_old=f"unrelated,{SECRET}"):
        assert (await introspect(ask, client, token)).active

        async def sealed_anew() -> bool:
            return bool(await pool.fetchval("select vault_key from signing_keys") != before)

        await eventually(sealed_anew)
    async with running_auth(settings, secret_key="n" * 64):
        assert (await introspect(ask, client, token)).active


async def test_a_rotation_is_written_down(pool: Pool) -> None:
    store = Signing(pool, SCHEDULE)
    await store.ensure("one", sealed, 1_000_000.0)
    await store.rotate("two", sealed, 1_000_001.0, at_once=True, actor=OPERATOR)
    rows = await pool.fetch("select who, verb, subject from audit order by id")
    assert [tuple(row) for row in rows] == [
        ("auth", "signing.create", "one"),
        ("operator", "signing.create", "two"),
    ]
