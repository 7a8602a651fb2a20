"""Each service's Postgres role may do what its store needs, and the server refuses it everything else."""

import asyncio
import datetime as dt
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from services.dispatcher.store.partitions import PARTITIONED, Partitions, partition_name, week_of
from services.webhooks.store.partitions import TABLE
from services.webhooks.store.partitions import Partitions as AttemptPartitions
from shared.db.migrate import migrate
from shared.db.pool import Pool, connected_pool
from shared.db.privileges import APPEND_ONLY, OWNED, READS, SERVICES, apply, passwords_of, role_of, url_for
from shared.errors import Startup
from shared.runtime.settings import ServiceSettings
from tests.conftest import ROLE_PASSWORDS, on_database
from tests.support.servers import Servers

VERBS = ("select", "insert", "update", "delete")

FORBIDDEN = [
    ("gateway", "insert into messages default values"),
    ("gateway", "update devices set name = 'mine'"),
    ("gateway", "delete from inbox"),
    ("gateway", "select * from api_keys"),
    ("gateway", "select * from device_tokens"),
    ("gateway", "select * from endpoint_secrets"),
    ("gateway", "select * from messages for update"),
    ("gateway", "create table mine (n int)"),
    ("gateway", "truncate messages"),
    ("dispatcher", "update accounts set status = 'active'"),
    ("dispatcher", "select * from api_keys"),
    ("dispatcher", "select * from users"),
    ("dispatcher", "delete from endpoints"),
    ("dispatcher", "select * from endpoint_secrets"),
    ("dispatcher", "alter table accounts add column mine int"),
    ("webhooks", "update messages set state = 'sent'"),
    ("webhooks", "delete from outbox"),
    ("webhooks", "select * from work"),
    ("webhooks", "select * from api_keys"),
    ("webhooks", "insert into accounts (name) values ('mine')"),
    ("webhooks", "drop table messages"),
    ("auth", "select * from messages"),
    ("auth", "select * from inbox"),
    ("auth", "select * from endpoint_secrets"),
    ("auth", "update audit set who = 'nobody'"),
    ("auth", "delete from audit"),
    ("auth", "create table mine (n int)"),
    ("auth", "alter table audit disable trigger all"),
    *((service, "create role mine") for service in SERVICES),
    *((service, "select pg_read_file('/etc/passwd')") for service in SERVICES),
    *((service, "copy (select 1) to program 'true'") for service in SERVICES),
    *((service, "select * from pg_authid") for service in SERVICES),
    *((service, f"set role {role_of(other)}") for service in SERVICES for other in SERVICES if other != service),
]


@pytest.fixture
async def pools(settings: ServiceSettings) -> AsyncIterator[dict[str, Pool]]:
    """A pool of each service, as its own role."""
    async with asyncio.TaskGroup() as group:
        opened = {service: group.create_task(_open(settings, service)) for service in SERVICES}
    yield {service: task.result() for service, task in opened.items()}
    for task in opened.values():
        await task.result().close()


async def _open(settings: ServiceSettings, service: str) -> Pool:
    return await asyncpg.create_pool(
        url_for(settings.database_url, service, ROLE_PASSWORDS[service]), min_size=1, max_size=3, timeout=10
    )


async def test_what_each_must_not_do_is_refused(pools: dict[str, Pool]) -> None:
    allowed = []
    for service, statement in FORBIDDEN:
        async with pools[service].acquire() as connection:
            attempt = connection.transaction()
            await attempt.start()
            try:
                await connection.execute(statement)
                allowed.append((service, statement))
            except asyncpg.InsufficientPrivilegeError:
                pass
            await attempt.rollback()
    assert allowed == []


async def test_the_grants_are_exactly_those_declared(pool: Pool) -> None:
    rows = await pool.fetch(
        """
        select s as service, c.relname::text as table, v as verb
        from unnest($1::text[]) s cross join unnest($2::text[]) v cross join pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
            and has_table_privilege('smsfleet_' || s, c.oid, v)
        """,
        list(SERVICES),
        list(VERBS),
    )
    expected = {(service, table, "select") for service in SERVICES for table in (*OWNED[service], *READS[service])}
    expected |= {
        (service, table, verb)
        for service in SERVICES
        for table in OWNED[service]
        for verb in (("insert",) if table in APPEND_ONLY else VERBS)
    }
    assert {tuple(row) for row in rows} == expected


async def test_the_writers_of_partitioned_tables_make_and_remove_partitions(
    pools: dict[str, Pool], settings: ServiceSettings
) -> None:
    for service, kind, tables in (("dispatcher", Partitions, PARTITIONED), ("webhooks", AttemptPartitions, (TABLE,))):
        own = msgspec.structs.replace(
            settings, database_url=url_for(settings.database_url, service, ROLE_PASSWORDS[service])
        )
        async with connected_pool(own, service) as pool:
            partitions = kind(pool)
            assert len(await partitions.make_ahead()) == 6 * len(tables)
            assert await partitions.complete()
            removed = await partitions.remove_oldest(-30)
            assert removed, "the oldest week is detached and dropped"
    this_week = partition_name("messages", week_of(dt.datetime.now(dt.UTC)))
    await pools["gateway"].fetch("select id from messages")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pools["gateway"].fetch(f"select id from {this_week}")


async def test_a_further_migration_changes_tables_that_were_given_away(pool: Pool, database: str) -> None:
    await pool.execute("create table messages_20200102 (like messages including all)")
    await asyncio.to_thread(migrate, database, ROLE_PASSWORDS)
    owner = await pool.fetchval("select relowner::regrole::text from pg_class where relname = 'messages_20200102'")
    assert owner == role_of("dispatcher")
    await pool.execute("alter table messages add column further int")


async def test_a_role_without_createrole_is_told_so(pools: dict[str, Pool], database: str) -> None:
    with pytest.raises(Startup, match="may not grant"):
        await apply(url_for(database, "gateway", ROLE_PASSWORDS["gateway"]), ROLE_PASSWORDS)


async def test_an_owner_that_may_make_no_roles_migrates_where_they_are_there(servers: Servers, pool: Pool) -> None:
    name = f"owner_{os.urandom(6).hex()}"
    await pool.execute(f"create role {name} login password 'only-for-tests'")
    try:
        await pool.execute(f"grant {role_of('dispatcher')}, {role_of('webhooks')} to {name}")
        await pool.execute(f"create database {name}")
        await pool.execute(f"grant {name} to current_user")
        await pool.execute(f"alter database {name} owner to {name}")
        place = urlsplit(on_database(servers.database_url, name))
        url = place._replace(netloc=f"{name}:only-for-tests@{place.netloc.rpartition('@')[2]}").geturl()
        await asyncio.to_thread(migrate, url)
        own = await asyncpg.connect(url_for(url, "dispatcher", ROLE_PASSWORDS["dispatcher"]), timeout=10)
        await own.execute("create table messages_20200102 (like messages including all)")
        await own.execute(
            "alter table messages attach partition messages_20200102 for values from ('\\x00') to ('\\x01')"
        )
        await own.close()
    finally:
        await pool.execute(f"drop database if exists {name} with (force)")
        await pool.execute(f"drop role {name}")


@pytest.mark.parametrize("text", ["gateway", "gateway:x", "gateway:a,dispatcher:b,webhooks:c,auth:"])
def test_passwords_that_lack_a_service_are_refused(text: str) -> None:
    with pytest.raises(Startup, match="SMSFLEET_DATABASE_PASSWORDS"):
        passwords_of(text)


def test_passwords_are_read_by_service() -> None:
    assert passwords_of("gateway:a,dispatcher:b, webhooks:c:d,auth:e") == {
        "gateway": "a",
        "dispatcher": "b",
        "webhooks": "c:d",
        "auth": "e",
    }
    assert passwords_of("") == {}
