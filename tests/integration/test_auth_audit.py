"""Who did what: each change has its line, and nobody takes one back."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from nats.aio.client import Client

from services.auth.store.changes import changing
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.audit import OPERATOR, Actor, AuditEntry, ListAudit
from shared.contracts.rpc.auth import CreateKey, Enrol, IssueToken, RevokeKey, SetAccount
from shared.contracts.rpc.clients import ClientCreated
from shared.db.pool import Pool
from shared.errors import Invalid, NotFound
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.auths import issue, new_account, new_client, running_auth


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client) -> AsyncIterator[RpcClient]:
    async with running_auth(settings):
        yield RpcClient(plain_client)


async def entries(ask: RpcClient, account: int | None = None, limit: int = 100) -> list[AuditEntry]:
    return (await ask.ask(registry.AUTH_AUDIT_LIST, ListAudit(account=account, limit=limit))).entries


async def test_a_change_says_who_what_and_from_where(ask: RpcClient) -> None:
    made = await new_account(ask)
    actor = Actor("usr_1", "192.0.2.7")
    key = await ask.ask(
        registry.AUTH_KEY_CREATE, CreateKey(account=made.account, name="shop", scopes=["sms:send"], actor=actor)
    )
    await ask.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=made.account, id=key.id))
    await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=made.account, max_parts=4, status="suspended"))
    told = [(each.who, each.address, each.verb, each.subject, each.account) for each in await entries(ask)]
    account = made.account
    assert told[:4] == [
        ("operator", "local", "account.set", str(account), account),
        ("operator", "local", "key.revoke", key.id, account),
        ("usr_1", "192.0.2.7", "key.create", key.id, account),
        ("operator", "local", "account.create", str(account), account),
    ]
    detail = [each.detail for each in await entries(ask)]
    assert detail[0] == {"status": "suspended", "max_parts": 4}
    assert detail[2] == {"name": "shop", "scopes": ["sms:send"]}
    assert told[4][:3] == ("auth", "local", "signing.create")


async def test_an_account_sees_its_own_lines_newest_first_page_by_page(ask: RpcClient) -> None:
    one, other = (await new_account(ask, "one")).account, (await new_account(ask, "other")).account
    for name in ("a", "b"):
        await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=one, name=name))
    own = await entries(ask, one)
    assert [each.verb for each in own] == ["key.create", "key.create", "account.create"]
    (newest,) = await entries(ask, one, limit=1)
    older = await ask.ask(registry.AUTH_AUDIT_LIST, ListAudit(account=one, before=newest.id))
    assert older.entries == own[1:]
    assert {each.account for each in await entries(ask, other)} == {other}


async def test_what_did_not_happen_has_no_line_and_no_epoch(ask: RpcClient, pool: Pool) -> None:
    account = (await new_account(ask)).account
    before = len(await entries(ask)), await pool.fetchval("select epoch from auth_epoch")
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=account, id="key_unknown"))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=99, name="x"))
    assert (len(await entries(ask)), await pool.fetchval("select epoch from auth_epoch")) == before


async def test_a_change_that_fails_takes_its_line_with_it(pool: Pool) -> None:
    async def fail() -> None:
        async with changing(pool, OPERATOR) as change:
            await change.done("key.create", "key_1", None)
            await change.connection.execute("insert into accounts (name, status) values ('x', 'odd')")

    with pytest.raises(asyncpg.CheckViolationError):
        await fail()
    assert await pool.fetchval("select count(*) from audit") == 0


@pytest.mark.parametrize(
    "statement",
    ["update audit set who = 'nobody'", "delete from audit", "truncate audit", "delete from audit where false"],
)
async def test_the_log_is_append_only(pool: Pool, statement: str) -> None:
    async with changing(pool, OPERATOR) as change:
        await change.done("key.create", "key_1", None)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await pool.execute(statement)
    assert await pool.fetchval("select count(*) from audit") == 1


async def test_a_phone_s_enrolment_names_its_key(ask: RpcClient) -> None:
    made = await new_account(ask)
    enrolled = await ask.ask(registry.AUTH_ENROL, Enrol(digest=digest(made.enrolment_key), address="192.0.2.9"))
    newest = (await entries(ask))[0]
    assert (newest.verb, newest.subject, newest.address) == ("device.enrol", enrolled.device, "192.0.2.9")
    assert newest.who.startswith("enr_")


async def test_refused_tokens_are_counted_in_the_log(
    settings: ServiceSettings, plain_client: Client, pool: Pool
) -> None:
    ask = RpcClient(plain_client)
    async with running_auth(settings):
        client = await new_client(ask, (await new_account(ask)).account)
        for _ in range(3):
            with pytest.raises(Invalid):
                await issue(ask, ClientCreated(client_id=client.client_id, client_secret="wrong"))
        stranger = IssueToken(client_id="x\0\x1b[2J" * 50, secret=b"", scope=None, address="\n")
        with pytest.raises(Invalid):
            await ask.ask(registry.AUTH_TOKEN_ISSUE, stranger)
    rows = await pool.fetch(
        "select account_id, who, address, subject, detail->>'reason' as reason, (detail->>'count')::int as count "
        "from audit where verb = 'token.refused' order by count desc"
    )
    assert [(row["reason"], row["count"]) for row in rows] == [("invalid_client", 3), ("invalid_client", 1)]
    known, unknown = rows
    assert (known["subject"], known["address"], known["account_id"] is None) == (client.client_id, "192.0.2.7", False)
    assert (unknown["account_id"], len(unknown["subject"])) == (None, 64)
    assert unknown["subject"].isprintable()


async def test_no_secret_is_ever_in_the_log(ask: RpcClient, pool: Pool) -> None:
    made = await new_account(ask)
    client = await new_client(ask, made.account)
    token = (await issue(ask, client)).access_token
    text = str(await pool.fetch("select a::text from audit a"))
    for secret in (made.api_key, made.enrolment_key, client.client_secret, token):
        assert secret not in text
