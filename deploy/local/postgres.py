"""Postgres on one machine: no TCP, passwords, a private socket, nothing that relaxes durability."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from deploy.local import credentials
from deploy.local.errors import LocalError
from deploy.local.paths import Home, write_private
from deploy.local.placement import SOCKET_NAME, Placement, place
from deploy.local.processes import Program, identity
from deploy.local.server_logs import failure, size

ROLE = "smsfleet"
DATABASE = "smsfleet"
ADMIN = "postgres"

# For two shared cores and a few hundred MB. What is accepted survives a crash: nothing here relaxes fsync.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "80MB",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "15s",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m %q%u ",
    "logging_collector": "off",
    # Its statements hold texts and numbers of people.
    "log_min_error_statement": "panic",
}


def database_url(home: Home, socket: Path) -> str:
    """Return the URL by which our programs reach the database: `postgresql://role:password@/db?host=<folder>`."""
    secret = credentials.password(home, "postgres")
    return f"postgresql://{ROLE}:{secret}@/{DATABASE}?host={quote(str(socket))}"


def service_passwords(home: Home) -> dict[str, str]:
    """Return the password of each service's own role."""
    from shared.db.privileges import SERVICES

    return {service: credentials.password(home, f"postgres-{service}") for service in SERVICES}


def install(home: Home, say: Callable[[str], None]) -> tuple[Program, str]:
    """Return how to run this installation's Postgres, and its URL; creates the database on first use.

    Blocks for about two seconds on the first start. Raise LocalError where it cannot work.
    """
    places = place(home, say)
    if not places.data.exists():
        _create(home, places)
    if not (places.data / "PG_VERSION").is_file():
        raise LocalError(
            f"{places.data} is not a Postgres database any more: put a backup there, "
            f"or delete {home.path} to begin anew (this loses all data)"
        )
    url = database_url(home, places.socket)
    settings = dict(_SETTINGS, unix_socket_directories=str(places.socket))

    async def ready() -> bool:
        return (places.socket / SOCKET_NAME).exists() and await answers(url)

    program = Program(
        name="postgres",
        argv=[
            places.programs / "postgres",
            "-D",
            places.data,
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ],
        log=home.log("postgres"),
        data=places.data,
        ready=ready,
        env=_environment(),
        cwd=places.data.parent if places.owner is None else Path("/"),
        owner=places.owner,
        # Fast shutdown: ends sessions and writes a checkpoint, so that the next start needs no recovery.
        stop_signal=signal.SIGINT,
        stop_after_s=30.0,
    )
    return program, url


async def answers(url: str) -> bool:
    """Return whether the database answers a question."""
    import asyncpg

    with contextlib.suppress(OSError, asyncio.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection = await asyncpg.connect(url, timeout=2.0)
        try:
            return bool(await connection.fetchval("select true", timeout=2.0))
        finally:
            connection.terminate()
    return False


def _create(home: Home, places: Placement) -> None:
    """Make the cluster beside its final place and move it there when whole: a half-made one is never used."""
    admin = credentials.password(home, "postgres-admin")
    secret = credentials.password(home, "postgres")
    making = places.area / "making"
    shutil.rmtree(making, ignore_errors=True)
    log = home.log("postgres")
    password_file = places.area / "password"
    try:
        write_private(password_file, f"{admin}\n")
        if places.owner:
            os.chown(password_file, places.owner.uid, places.owner.gid)
        _run(
            places,
            log,
            "initdb",
            f"--pgdata={making}",
            f"--username={ADMIN}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--encoding=UTF8",
            "--no-instructions",
        )
    finally:
        password_file.unlink(missing_ok=True)
    # Without any connection: the server is never up with half of its roles.
    _run(
        places,
        log,
        "postgres",
        "--single",
        "-D",
        str(making),
        "-c",
        "exit_on_error=on",
        "-c",
        "log_min_error_statement=panic",
        ADMIN,
        script=(
            f"create role {ROLE} login createdb createrole password '{secret}'\n"
            f"grant pg_monitor, pg_signal_backend to {ROLE}\n"
            f"create database {DATABASE} owner {ROLE}\n"
        ),
    )
    making.rename(places.data)


def _run(places: Placement, log: Path, program: str, *words: str, script: str = "") -> None:
    begins = size(log)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
        try:
            done = subprocess.run(
                [str(places.programs / program), *words],
                input=script.encode(),
                stdout=output,
                stderr=output,
                env=_environment(),
                cwd="/",
                timeout=120,
                check=False,
                **identity(places.owner),
            )
        except subprocess.TimeoutExpired as problem:
            raise LocalError(f"{program} took longer than two minutes: see {log}") from problem
        except OSError as problem:
            raise LocalError(f"{program} does not run here ({problem.strerror}): see `smsfleet doctor`") from problem
    if done.returncode != 0:
        raise failure("postgres", log, begins, places.area, done.returncode)


def _environment() -> dict[str, str]:
    # Nothing of the caller's: PGOPTIONS, PGDATA or a locale would change what the server does.
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
