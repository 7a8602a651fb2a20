"""Endpoints and deliveries of the first schema live on in the present one, and code that wrote them goes on working."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.webhooks.store.claims import Claims
from services.webhooks.store.endpoints import Endpoints
from shared.db.migrate import MIGRATIONS, migrate
from shared.db.pool import Pool, connected_pool
from shared.runtime.settings import ServiceSettings
from tests.conftest import on_database
from tests.support.servers import Servers

FIRST = MIGRATIONS / "20261122120000_pre_first.sql"

OLD_ROWS = """
insert into accounts (name) values ('acme');
insert into endpoints (id, account_id, url, format, enabled)
values
    ('wh_a_on', 1, 'https://example.com/on', 'classic', true),
    ('wh_b_off', 1, 'https://example.com/off', 'classic', false);
insert into deliveries (event_id, endpoint_id, account_id, type, body, state, attempts, ended_at, last_error)
select gen_random_uuid(), 'wh_a_on', 1, 'sms.received', '{}', state, 2,
    case when state <> 'pending' then now() end, 'It answered HTTP 500.'
from unnest('{pending,pending,delivered,exhausted,canceled}'::text[]) as state;
insert into delivery_attempts (delivery_id, number, started_at, duration_ms, status, error)
select id, number, now() - number * interval '10 days', 5, 500, 'It answered HTTP 500.'
from deliveries, generate_series(1, 2) as number;
"""

OLD_CODE = """
insert into endpoints (id, account_id, url, format, description)
values ('wh_new', 1, 'https://example.com/', 'classic', '');
insert into deliveries (event_id, endpoint_id, account_id, type, body)
select '00000000-0000-0000-0000-000000000001', e.id, 1, 'sms.received', '{}' from endpoints e
where e.enabled and e.deleted_at is null
for share of e
on conflict (event_id, endpoint_id) do nothing;
update deliveries set claim = gen_random_uuid(), attempts = attempts + 1 where endpoint_id = 'wh_new';
insert into delivery_attempts (delivery_id, number, started_at, duration_ms, status, error)
select id, 1, now(), 5, 200, null from deliveries where endpoint_id = 'wh_new';
"""


@pytest.fixture
async def old(servers: Servers, settings: ServiceSettings) -> AsyncIterator[ServiceSettings]:
    """A database as the first migration left it, with rows."""
    name = f"test_{os.urandom(6).hex()}"
    server = await asyncpg.connect(servers.database_url, timeout=10)
    await server.execute(f"create database {name}")
    url = on_database(servers.database_url, name)
    connection = await asyncpg.connect(url, timeout=10)
    await connection.execute(_up(FIRST))
    await connection.execute("create table schema_migrations (version varchar primary key)")
    await connection.execute("insert into schema_migrations values ($1)", FIRST.name.partition("_")[0])
    await connection.execute(OLD_ROWS)
    await connection.close()
    yield type(settings)(nats_url=settings.nats_url, database_url=url, secret_key=settings.secret_key)
    await server.execute(f"drop database {name} with (force)")
    await server.close()


def _up(migration: Path) -> str:
    return migration.read_text().partition("-- migrate:up")[2].partition("-- migrate:down")[0]


@pytest.fixture
async def migrated(old: ServiceSettings) -> AsyncIterator[Pool]:
    await asyncio.to_thread(migrate, old.database_url)
    async with connected_pool(old, "test") as pool:
        yield pool


async def test_old_endpoints_keep_what_they_had(migrated: Pool) -> None:
    on, off = await Endpoints(migrated).shown(1, None)
    assert (on.id, on.state, on.pending, on.delivered, on.exhausted, on.canceled) == ("wh_a_on", "enabled", 2, 1, 1, 1)
    assert (on.failures, on.signing_secrets, on.last_error) == (10, 0, "It answered HTTP 500.")
    assert (off.id, off.state, off.enabled, off.pending) == ("wh_b_off", "paused", False, 0)
    rows = await migrated.fetch(
        "select number, status, error, detail from delivery_attempts order by delivery_id, number"
    )
    assert len(rows) == 10
    assert tuple(rows[0]) == (1, 500, "status", "It answered HTTP 500.")
    claimed = await Claims(migrated).claim(await migrated.fetchval("select gen_random_uuid()"), 10)
    assert [(each.endpoint, each.used_up, each.tries) for each in claimed] == [("wh_a_on", 2, 3)] * 2


async def test_old_code_works_on_the_new_schema(migrated: Pool) -> None:
    await migrated.execute(OLD_CODE)
    assert await migrated.fetchval("select count(*) from deliveries where endpoint_id in ('wh_a_on', 'wh_new')") == 7
    assert await migrated.fetchval("select enabled from endpoints where id = 'wh_new'") is True
