"""Where the tests' real Postgres, NATS and Valkey come from: embedded, containers or external ones."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Servers:
    """Addresses of running servers; the database role may create databases."""

    database_url: str
    nats_url: str
    nats_nkey_file: str | None
    redis_url: str


@contextlib.asynccontextmanager
async def running_servers(kind: str, home: Path) -> AsyncIterator[Servers]:
    """Servers of this kind while the context is open."""
    if kind == "embedded":
        from tests.support.embedded import start_servers

        embedded = await start_servers(home)
        try:
            yield Servers(embedded.database_url, embedded.nats_url, str(embedded.nats_nkey_seed), embedded.redis_url)
        finally:
            await embedded.stop()
    elif kind == "external":
        yield Servers(
            os.environ["SMSFLEET_TEST_DATABASE_URL"],
            os.environ["SMSFLEET_TEST_NATS_URL"],
            os.environ.get("SMSFLEET_TEST_NATS_NKEY_FILE"),
            os.environ["SMSFLEET_TEST_REDIS_URL"],
        )
    elif kind == "containers":
        from tests.support.containers import start_containers

        with start_containers() as started:
            yield started
    else:
        raise ValueError(f"SMSFLEET_TEST_SERVERS={kind} is not embedded, containers or external")
