"""The three servers that the services meet in: embedded ones, or external ones where their URLs are set."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import credentials
from deploy.local.paths import Home
from deploy.local.processes import Program


@dataclass(frozen=True)
class Servers:
    """How to reach the servers, and the programs to run for those that are embedded."""

    database_url: str
    nats_url: str
    redis_url: str
    nats_nkey_files: Mapping[str, Path] = field(default_factory=dict)
    """The private key file of each role; empty for an external NATS without SMSFLEET_NATS_NKEY_FOLDER."""
    database_passwords: Mapping[str, str] = field(default_factory=dict)
    """The password of each service's own role; empty for an external Postgres without SMSFLEET_DATABASE_PASSWORDS,
    where all use the one URL."""
    programs: tuple[Program, ...] = ()


async def install(home: Home, say: Callable[[str], None], external: Mapping[str, str] | None = None) -> Servers:
    """Return the servers of an installation, preparing the embedded ones (two seconds on the first start).

    `external` holds SMSFLEET_DATABASE_URL, SMSFLEET_NATS_URL and SMSFLEET_REDIS_URL where those are not
    ours (default: this process' environment). Raise LocalError where an embedded one cannot work.
    """
    from deploy.local import nats, postgres, valkey

    given = os.environ if external is None else external
    programs: list[Program] = []
    nats_url, redis_url, database_url = (
        given.get(f"SMSFLEET_{name}_URL", "") for name in ("NATS", "REDIS", "DATABASE")
    )
    keys: dict[str, Path] = {}
    passwords: dict[str, str] = {}
    if not nats_url:
        program, nats_url = nats.install(home)
        programs.append(program)
        keys = {role: credentials.nats_seed_file(home, role) for role in credentials.NATS_ROLES}
    elif folder := given.get("SMSFLEET_NATS_NKEY_FOLDER"):
        keys = credentials.given_seed_files(Path(folder))
    if not redis_url:
        program, redis_url = valkey.install(home)
        programs.append(program)
    if not database_url:
        # In a thread: a new database takes a while, in which the caller's other work goes on.
        program, database_url = await asyncio.to_thread(postgres.install, home, say)
        programs.insert(0, program)
        passwords = postgres.service_passwords(home)
    else:
        from shared.db.privileges import passwords_of

        passwords = passwords_of(given.get("SMSFLEET_DATABASE_PASSWORDS", ""))
    return Servers(database_url, nats_url, redis_url, keys, passwords, tuple(programs))
