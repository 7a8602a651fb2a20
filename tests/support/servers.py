"""Where the tests' real Postgres, NATS and Valkey come from: embedded, containers or external ones."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import nats
from deploy.local.paths import Home
from deploy.local.processes import spawn, stop
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.containers import Containers

KIND = os.environ.get("SMSFLEET_TEST_SERVERS", "embedded")
"""`embedded`, `containers` or `external`."""


@dataclass(frozen=True)
class Servers:
    """Addresses of running servers; the database role may create databases."""

    database_url: str
    nats_url: str
    nats_nkey_file: str | None
    redis_url: str


@contextlib.asynccontextmanager
async def running_servers(home: Path) -> AsyncIterator[Servers]:
    """Servers of this run's kind while the context is open."""
    if KIND == "embedded":
        from tests.support.embedded import start_servers

        embedded = await start_servers(home)
        try:
            yield Servers(embedded.database_url, embedded.nats_url, str(embedded.nats_nkey_seed), embedded.redis_url)
        finally:
            await embedded.stop()
    elif KIND == "external":
        yield Servers(
            os.environ["SMSFLEET_TEST_DATABASE_URL"],
            os.environ["SMSFLEET_TEST_NATS_URL"],
            os.environ.get("SMSFLEET_TEST_NATS_NKEY_FILE"),
            os.environ["SMSFLEET_TEST_REDIS_URL"],
        )
    else:
        async with containers(Home(home)) as made:
            assert made is not None, f"SMSFLEET_TEST_SERVERS={KIND} is not embedded, containers or external"
            yield Servers(made.database_url, made.nats_url, str(made.seed), made.redis_url)


@contextlib.asynccontextmanager
async def containers(home: Home) -> AsyncIterator["Containers | None"]:
    """A set of servers in containers for one installation, in that kind of run; None: it has embedded ones."""
    if KIND != "containers":
        yield None
        return
    from tests.support.containers import running_containers

    async with running_containers(home) as made:
        yield made


@contextlib.asynccontextmanager
async def running_nats(home: Home) -> AsyncIterator[str]:
    """The URL of a NATS as this kind of installation has it; each role's key is among the home's secrets."""
    if KIND == "containers":
        from tests.support.containers import Containers, running

        made = Containers(home)
        async with running(made.servers["nats"]):
            yield made.nats_url
        return
    program, url = nats.install(home)
    process = spawn(program)
    try:
        await until(program.ready, "NATS answers")
        yield url
    finally:
        await stop(process, program.stop_signal, program.stop_after_s)
