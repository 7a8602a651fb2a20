"""Auth as others meet it: questions over NATS, a real database, two replicas, and the database away."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client

from services.auth.store.enrolment import NewEnrolmentKey
from services.auth.store.keys import Keys
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.audit import OPERATOR
from shared.contracts.rpc.auth import (
    AuthChanged,
    CreateAccount,
    CreateKey,
    CredentialKind,
    Enrol,
    Enrolled,
    ListAccounts,
    ListKeys,
    RevokeKey,
    SetAccount,
)
from shared.db.pool import Pool
from shared.errors import Conflict, Forbidden, Invalid, NotFound
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest, new_token
from tests.conftest import Eventually
from tests.support.auths import new_account, running_auth, verify


@pytest.fixture
async def service(settings: ServiceSettings) -> AsyncIterator[Service]:
    async with running_auth(settings) as opened:
        yield opened


@pytest.fixture
def ask(service: Service, plain_client: Client) -> RpcClient:
    return RpcClient(plain_client)


async def enrol(ask: RpcClient, key: str) -> Enrolled:
    return await ask.ask(registry.AUTH_ENROL, Enrol(digest=digest(key)))


async def store_enrolment_key(pool: Pool, account: int, key: NewEnrolmentKey) -> None:
    await pool.execute(
        """
        with raised as (update auth_epoch set epoch = epoch + 1)
        insert into enrolment_keys (id, account_id, digest, single_use, approves, expires_at)
        values ($1, $2, $3, $4, $5, now() + $6::float8 * interval '1 second')
        """,
        key.id,
        account,
        key.digest,
        key.single_use,
        key.approves,
        key.lives_s,
    )


async def test_it_is_ready_and_says_so(service: Service) -> None:
    assert service.health.ready() == (True, {"running": "ok", "database": "ok", "nats": "ok"})


async def test_a_new_account_has_a_key_of_every_scope_and_a_reusable_enrolment_key(ask: RpcClient) -> None:
    made = await new_account(ask)
    assert len(made.api_key) == 48
    assert len(made.enrolment_key) == 64
    verdict = await verify(ask, "api_key", made.api_key)
    assert (verdict.account, verdict.active, verdict.time_zone) == (made.account, True, "UTC")
    assert "sms:send" in verdict.scopes
    assert len(verdict.scopes) == 7
    assert (await verify(ask, "enrolment_key", made.enrolment_key)).account == made.account
    first, second = await enrol(ask, made.enrolment_key), await enrol(ask, made.enrolment_key)
    assert first.device != second.device
    assert first.approved
    assert (await verify(ask, "device_token", second.token)).subject == second.device


async def test_secrets_are_stored_as_digests_only(ask: RpcClient, pool: Pool) -> None:
    made = await new_account(ask)
    enrolled = await enrol(ask, made.enrolment_key)
    for table in ("accounts", "api_keys", "enrolment_keys", "device_tokens"):
        text = str(await pool.fetch(f"select t::text from {table} t"))
        for secret in (made.api_key, made.enrolment_key, enrolled.token):
            assert secret not in text


async def test_a_credential_is_only_valid_as_what_it_is(ask: RpcClient) -> None:
    made = await new_account(ask)
    wrong: list[tuple[CredentialKind, str]] = [
        ("device_token", made.api_key),
        ("api_key", made.enrolment_key),
        ("api_key", "x" * 48),
    ]
    for kind, secret in wrong:
        assert (await verify(ask, kind, secret)).account is None


async def test_account_names_are_checked_and_taken_once(ask: RpcClient) -> None:
    await new_account(ask)
    with pytest.raises(Conflict) as taken:
        await new_account(ask)
    assert taken.value.code == "name_taken"
    for name in ("", " ", "x" * 65, "a\x00b", "a\nb"):
        with pytest.raises(Invalid) as invalid:
            await new_account(ask, name)
        assert invalid.value.code == "invalid_name"
    with pytest.raises(Invalid) as zone:
        await ask.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name="zoned", time_zone="Mars/Base"))
    assert zone.value.code == "invalid_time_zone"
    listed = (await ask.ask(registry.AUTH_ACCOUNT_LIST, ListAccounts())).accounts
    assert [account.name for account in listed] == ["acme"]


async def test_a_key_lives_from_creation_to_revocation(ask: RpcClient) -> None:
    account = (await new_account(ask)).account
    request = CreateKey(account=account, name="reader", scopes=["sms:read"])
    made = await ask.ask(registry.AUTH_KEY_CREATE, request)
    verdict = await verify(ask, "api_key", made.api_key)
    assert (verdict.account, verdict.subject, verdict.scopes) == (account, made.id, ["sms:read"])
    assert await ask.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=account, id=made.id)) == Done()
    after = await verify(ask, "api_key", made.api_key)
    assert after.account is None
    assert after.epoch > verdict.epoch
    keys = (await ask.ask(registry.AUTH_KEY_LIST, ListKeys(account))).keys
    assert [(key.name, key.prefix, key.revoked_at is None) for key in keys][:-1] == [
        ("reader", made.api_key[:6], False)
    ]


async def test_keys_belong_to_their_account(ask: RpcClient) -> None:
    one, other = (await new_account(ask, "one")).account, (await new_account(ask, "other")).account
    made = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=one, name="mine"))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=other, id=made.id))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_KEY_LIST, ListKeys(99))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=99, name="x"))
    with pytest.raises(Invalid):
        await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=one, name="x", scopes=["root"]))


async def test_a_single_use_key_shown_by_many_at_once_makes_one_device(ask: RpcClient, pool: Pool) -> None:
    account = (await new_account(ask)).account
    key = new_token()
    await store_enrolment_key(pool, account, NewEnrolmentKey("enr_1", digest(key)))
    enrolled = await asyncio.gather(*(enrol(ask, key) for _ in range(8)))
    assert len({each.device for each in enrolled}) == 1
    assert all(each.approved for each in enrolled)
    assert await pool.fetchval("select count(*) from device_tokens") == 1
    verdicts = [await verify(ask, "device_token", each.token) for each in enrolled]
    assert [verdict.subject for verdict in verdicts if verdict.account] == [enrolled[0].device]


async def test_a_spent_single_use_key_replaces_its_device_s_token_at_any_age(ask: RpcClient, pool: Pool) -> None:
    account = (await new_account(ask)).account
    key = new_token()
    await store_enrolment_key(pool, account, NewEnrolmentKey("enr_1", digest(key)))
    first = await enrol(ask, key)
    await pool.execute("update enrolment_keys set expires_at = now() - interval '1 day' where id = 'enr_1'")
    second = await enrol(ask, key)
    assert second.device == first.device
    assert (await verify(ask, "device_token", first.token)).account is None
    assert (await verify(ask, "device_token", second.token)).account == account
    await pool.execute("update enrolment_keys set revoked_at = now() where id = 'enr_1'")
    with pytest.raises(Forbidden):
        await enrol(ask, key)


async def test_an_expired_or_unknown_key_enrols_nothing(ask: RpcClient, pool: Pool) -> None:
    account = (await new_account(ask)).account
    key = new_token()
    await store_enrolment_key(pool, account, NewEnrolmentKey("enr_1", digest(key), lives_s=-1))
    for secret in (key, new_token()):
        with pytest.raises(Forbidden):
            await enrol(ask, secret)
    assert await pool.fetchval("select count(*) from device_tokens") == 0


async def test_a_multi_use_key_approves_only_if_it_says_so(ask: RpcClient, pool: Pool) -> None:
    account = (await new_account(ask)).account
    key = new_token()
    await store_enrolment_key(
        pool, account, NewEnrolmentKey("enr_1", digest(key), single_use=False, approves=False, lives_s=None)
    )
    assert not (await enrol(ask, key)).approved


async def test_every_replica_learns_of_a_change(
    settings: ServiceSettings, service: Service, plain_client: Client, eventually: Eventually
) -> None:
    ask = RpcClient(plain_client)
    async with running_auth(settings):
        made = await new_account(ask)

        # Which of the two answers is NATS' choice: twenty answers in a row are all of both.
        async def everybody_knows() -> bool:
            verdicts = [await verify(ask, "api_key", made.api_key) for _ in range(20)]
            return all(verdict.account == made.account for verdict in verdicts)

        await eventually(everybody_knows)


async def test_a_change_made_behind_its_back_is_noticed(ask: RpcClient, pool: Pool, eventually: Eventually) -> None:
    made = await new_account(ask)
    keys = Keys(pool)
    page = await keys.page(ListKeys(made.account))
    assert page is not None
    await keys.revoke(made.account, page.rows[0].id, OPERATOR)

    async def revoked() -> bool:
        return (await verify(ask, "api_key", made.api_key)).account is None

    await eventually(revoked)


async def test_changes_are_announced_at_once_and_epochs_repeated(ask: RpcClient, plain_client: Client) -> None:
    subscription = await plain_client.subscribe(registry.AUTH_CHANGED)
    decode = msgspec.msgpack.Decoder(AuthChanged).decode
    made = await new_account(ask)
    epoch = (await verify(ask, "api_key", made.api_key)).epoch
    heard = [decode((await subscription.next_msg(timeout=2)).data).epoch for _ in range(3)]
    assert heard[-1] == epoch
    await subscription.unsubscribe()


async def test_limits_and_region_are_in_the_verdict_and_a_key_s_own_rate_comes_first(ask: RpcClient) -> None:
    made = await new_account(ask)
    own = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=made.account, name="quick", rate_per_minute=600))
    free = await verify(ask, "api_key", made.api_key)
    assert (free.region, free.max_parts, free.rate_per_minute) == (None, None, None)
    limits = SetAccount(account=made.account, region="fr", max_parts=4, rate_per_minute=60)
    await ask.ask(registry.AUTH_ACCOUNT_SET, limits)
    limited = await verify(ask, "api_key", made.api_key)
    assert (limited.region, limited.max_parts, limited.rate_per_minute) == ("FR", 4, 60)
    assert (await verify(ask, "api_key", own.api_key)).rate_per_minute == 600
    await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=made.account, max_parts=0))
    opened = await verify(ask, "api_key", made.api_key)
    assert (opened.region, opened.max_parts, opened.rate_per_minute) == ("FR", None, 60)
    with pytest.raises(Invalid):
        await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=made.account, region="France"))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=made.account + 99))
