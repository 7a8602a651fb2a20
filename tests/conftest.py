"""Real servers for the whole run, a fresh database for each test, empty streams for each test that asks."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import nats
import pytest
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from shared.bus.provision import provision
from shared.contracts.registry import BUCKETS, STREAMS
from shared.db.migrate import migrate
from shared.db.pool import Pool, connected_pool
from shared.db.privileges import SERVICES
from shared.runtime.settings import ServiceSettings
from tests.support.servers import Servers, running_servers
from tests.support.system import System, running_system

for name in [name for name in os.environ if name.startswith("SMSFLEET_") and "_TEST_" not in name]:
    del os.environ[name]

_connect = TcpTransport.connect


async def _connect_anew(self: TcpTransport, *where: Any, **options: Any) -> None:
    # nats-py's next try leaves the connection of a failed one to the garbage collector, whose warning would fail
    # whichever test happens to run then. Two tries can be under way at once.
    fresh = TcpTransport()  # type: ignore[no-untyped-call]
    await _connect(fresh, *where, **options)
    self.close()  # type: ignore[no-untyped-call]
    vars(self).update(vars(fresh))


TcpTransport.connect = _connect_anew  # type: ignore[method-assign]

TEMPLATE = "smsfleet_template"
SECRET = "5ec2e7" * 10
ROLE_PASSWORDS = {service: f"only-for-tests-{service}" for service in SERVICES}
"""Of the services' own Postgres roles."""


def on_database(url: str, database: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Postgres, NATS and Valkey: embedded, in containers or external (SMSFLEET_TEST_SERVERS)."""
    async with running_servers(tmp_path_factory.mktemp("servers")) as running:
        await _execute(running.database_url, f"drop database if exists {TEMPLATE} with (force)")
        await _execute(running.database_url, f"create database {TEMPLATE}")
        await asyncio.to_thread(migrate, on_database(running.database_url, TEMPLATE), ROLE_PASSWORDS)
        yield running


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[str]:
    """URL of a database of this test's own, with the schema and nothing in it."""
    name = f"test_{os.urandom(6).hex()}"
    await _execute(servers.database_url, f"create database {name} template {TEMPLATE}")
    yield on_database(servers.database_url, name)
    await _execute(servers.database_url, f"drop database {name} with (force)")


@pytest.fixture
def settings(servers: Servers, database: str) -> ServiceSettings:
    """Settings of a service of this test: its own database, the run's NATS and Valkey."""
    return ServiceSettings(
        nats_url=servers.nats_url,
        nats_nkey_file=servers.nats_nkey_file,
        database_url=database,
        redis_url=servers.redis_url,
        secret_key=SECRET,
    )


@pytest.fixture
async def pool(settings: ServiceSettings) -> AsyncIterator[Pool]:
    """A pool on the test's own database."""
    async with connected_pool(settings, "test") as opened:
        yield opened


@pytest.fixture
async def nats_client(servers: Servers) -> AsyncIterator[Client]:
    """A NATS connection with the streams and buckets provisioned and empty."""
    client = await nats.connect(servers.nats_url, nkeys_seed=servers.nats_nkey_file, connect_timeout=5)
    await provision(client)
    for name in (*(stream.name for stream in STREAMS), *(bucket.stream for bucket in BUCKETS)):
        await client.jetstream().purge_stream(name)
    yield client
    await client.close()


@pytest.fixture(scope="session")
async def system() -> AsyncIterator[System]:
    """One running system for all tests of the outside; they add to it and leave it running and at rest."""
    async with running_system() as running:
        yield running


Eventually = Callable[[Callable[[], Awaitable[object]]], Awaitable[object]]


@pytest.fixture
def eventually() -> Eventually:
    """Waits until an async condition is true (10 s at most) and returns what it gave."""

    async def wait(condition: Callable[[], Awaitable[object]], within_s: float = 10.0) -> object:
        deadline = asyncio.get_running_loop().time() + within_s
        while not (result := await condition()):
            assert asyncio.get_running_loop().time() < deadline, "the condition did not come true in time"
            await asyncio.sleep(0.02)
        return result

    return wait


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def data_folder() -> Path:
    """Files that tests read."""
    return Path(__file__).parent / "data"
