"""A change costs the rows that it changed, however many credentials there are."""

import asyncio

from nats.aio.client import Client

from services.auth.directory import Directory
from services.auth.memory import Memory
from services.auth.signing import Keyring, Schedule
from services.auth.store.accounts import Accounts
from services.auth.store.clients import Clients, NewClient
from services.auth.store.enrolment import Enrolment, NewEnrolmentKey
from services.auth.store.expired import Expired
from services.auth.store.keys import Keys, NewKey
from services.auth.store.state import _SINCE, State
from services.auth.store.users import Changed, Users
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.audit import OPERATOR
from shared.contracts.rpc.auth import RevokeKey, SetAccount
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from shared.security.vault import Vault
from tests.support.auths import new_account, running_auth, verify

MANY = 20_000


async def store_many(pool: Pool, account: int, count: int = 1000) -> None:
    """Keys whose digest is the SHA-256 of their id, stamped here because the trigger takes its time with many."""
    await pool.execute("alter table api_keys disable trigger api_keys_stamp")
    await pool.execute(
        """
        insert into api_keys (id, account_id, name, digest, prefix, scopes, epoch)
        select 'many_' || n, $1, 'x', sha256(convert_to('many_' || n, 'utf8')), '', '{sms:send}', e.epoch + 1
        from generate_series(1, $2) as n, auth_epoch as e
        """,
        account,
        count,
    )
    await pool.execute("update auth_epoch set epoch = epoch + 1")
    await pool.execute("alter table api_keys enable trigger api_keys_stamp")


def new_key(number: int) -> NewKey:
    return NewKey(f"key_{number}", "x", digest(f"key_{number}"), "", ["sms:send"])


async def nothing(_: int) -> None:
    return None


def directory(pool: Pool) -> Directory:
    return Directory(State(pool), lambda: Memory(Keyring(Vault("s"), Schedule(86_400.0, 3600.0))), nothing, lambda: 0.0)


async def test_one_change_among_twenty_thousand_reads_one_row(
    settings: ServiceSettings, plain_client: Client, pool: Pool
) -> None:
    ask = RpcClient(plain_client)
    async with running_auth(settings):
        account = (await new_account(ask)).account
        await store_many(pool, account, MANY)
    async with running_auth(settings):
        replica = directory(pool)
        await replica.load()
        assert replica.rows_read > MANY
        before = replica.rows_read

        async def rows_after_catching_up() -> int:
            await replica.catch_up()
            return replica.rows_read - before

        assert await rows_after_catching_up() == 0
        await ask.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=account, id="many_7"))
        assert await rows_after_catching_up() == 1
        assert replica.memory.verdict("api_key", digest("many_7"), 0.0).account is None
        await ask.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=account, status="suspended"))
        assert await rows_after_catching_up() == 2
        assert not replica.memory.verdict("api_key", digest("many_8"), 0.0).active
        # The service itself is level with the table, too.
        assert (await verify(ask, "api_key", "many_7")).account is None
        assert not (await verify(ask, "api_key", "many_20000")).active


async def test_changes_are_found_by_index(pool: Pool) -> None:
    await pool.execute("insert into accounts (name) values ('many')")
    account = await pool.fetchval("select id from accounts")
    await store_many(pool, account)
    await pool.execute("analyze api_keys")
    epoch = await State(pool).epoch()
    async with pool.acquire() as connection:
        # Even where Postgres plans without knowing the epoch.
        await connection.execute("set plan_cache_mode = force_generic_plan")
        plan = [row[0] for row in await connection.fetch(f"explain {_SINCE.credentials}", epoch)]
        await connection.execute("reset plan_cache_mode")
    assert any("api_keys_epoch" in line for line in plan), plan
    assert not any("Seq Scan on api_keys" in line for line in plan), plan


async def test_code_of_the_version_before_is_heard(pool: Pool) -> None:
    """It raises the epoch in the statement of its change and knows of no stamps."""
    await pool.execute("insert into accounts (name) values ('acme')")
    account = await pool.fetchval("select id from accounts")
    await store_many(pool, account)
    replica = directory(pool)
    await replica.load()
    await pool.execute(
        """
        with ended as (update api_keys set revoked_at = now() where id = 'many_3' returning id)
        update auth_epoch set epoch = epoch + 1 where exists (select from ended)
        """
    )
    before = replica.rows_read
    await replica.catch_up()
    assert replica.rows_read - before == 1
    assert replica.memory.verdict("api_key", digest("many_3"), 0.0).account is None


async def test_a_restored_backup_is_read_as_a_whole(pool: Pool) -> None:
    await pool.execute("insert into accounts (name) values ('acme')")
    account = await pool.fetchval("select id from accounts")
    await store_many(pool, account)
    await pool.execute("update auth_epoch set epoch = 50")
    replica = directory(pool)
    await replica.load()
    await pool.execute("update auth_epoch set epoch = 40")
    await pool.execute("delete from api_keys where id = 'many_3'")
    await replica.catch_up()
    assert replica.epoch == 40
    assert replica.memory.verdict("api_key", digest("many_3"), 0.0).account is None


async def test_changes_made_at_once_all_arrive(pool: Pool) -> None:
    """Epochs commit in order: who has read up to one has missed nothing before it."""
    accounts, keys, enrolment = Accounts(pool), Keys(pool), Enrolment(pool)
    several = NewEnrolmentKey("enr_0", digest("enr_0"), single_use=False, approves=True, lives_s=None)
    made = await accounts.create("acme", "UTC", new_key(0), several, OPERATOR)
    assert made is not None
    replica = directory(pool)
    await replica.load()
    done = asyncio.Event()

    async def follow() -> None:
        while not done.is_set():
            await replica.catch_up()

    following = asyncio.create_task(follow())
    await asyncio.gather(
        *(keys.create(made[0], new_key(n), OPERATOR) for n in range(1, 40)),
        *(enrolment.enrol(digest("enr_0"), f"{n:021}", digest(f"token {n}"), "") for n in range(40)),
    )
    done.set()
    await following
    await replica.catch_up()
    known = [replica.memory.verdict("api_key", digest(f"key_{n}"), 0.0).account for n in range(40)]
    tokens = [replica.memory.verdict("device_token", digest(f"token {n}"), 0.0).account for n in range(40)]
    assert known == tokens == [made[0]] * 40


async def test_what_has_expired_is_deleted_and_what_counts_stays(pool: Pool) -> None:
    await pool.execute("insert into accounts (name) values ('acme')")
    account = await pool.fetchval("select id from accounts")
    client = NewClient("c" * 32, "x", b"", [])
    await Clients(pool).create(account, client, OPERATOR)
    made = await Users(pool).create(account, "usr_1", "ana@example.org", "owner", None, OPERATOR)
    assert isinstance(made, Changed)
    for name, age in (("old", "2 days"), ("new", "0 days")):
        await pool.execute(
            "insert into revoked_tokens (jti, account_id, client_id, expires_at) "
            "values ($1, $2, $3, now() - $4::text::interval)",
            name, account, client.id, age,
        )  # fmt: skip
        await pool.execute(
            "insert into sign_in_links (digest, user_id, expires_at) values ($1, $2, now() - $3::text::interval)",
            name.encode(), made.user.id, age,
        )  # fmt: skip
        await pool.execute(
            "insert into sign_in_tries values ($1, 1, now(), now() - $2::text::interval)", name.encode(), age
        )
    await Expired(pool).forget()
    for column, table in (("jti", "revoked_tokens"), ("digest", "sign_in_links"), ("login", "sign_in_tries")):
        left = await pool.fetch(f"select {column} from {table}")
        assert [row[0] for row in left] in (["new"], [b"new"])
