"""Brings a database to this code's schema: plain SQL files, run by dbmate under its advisory lock, then the grants."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from shared.db.privileges import apply
from shared.errors import Startup

MIGRATIONS = Path(__file__).parent / "migrations"
TIMEOUT_S = 300


def migrate(database_url: str, passwords: Mapping[str, str] | None = None) -> str:
    """Applies what is missing; several at once wait for each other. Returns what dbmate said.

    Then each service's role gets what it needs; with `passwords` (by service) the roles are made first. Not to be
    called in an event loop. Raises Startup with the complaint when something fails.
    """
    said = _dbmate(database_url, "up", "--strict")
    asyncio.run(apply(database_url, passwords or {}))
    return said


def pending(database_url: str) -> int:
    """How many migrations are still to be applied."""
    said = _dbmate(database_url, "status")
    return sum(line.startswith("[ ]") for line in said.splitlines())


def newest_migration() -> str:
    """The version of the newest migration of this code, as the table schema_migrations holds it."""
    return max(path.name.partition("_")[0] for path in MIGRATIONS.glob("*.sql"))


def _dbmate(database_url: str, *command: str) -> str:
    program = shutil.which("dbmate", path=str(Path(sys.executable).parent)) or shutil.which("dbmate")
    if program is None:
        raise Startup("dbmate is not installed; run the bootstrap again (make up does).")
    arguments = [
        program,
        "--no-dump-schema",
        "--migration-lock",
        "--migrations-dir",
        str(MIGRATIONS),
        *command,
    ]
    try:
        done = subprocess.run(
            arguments,
            env={"DATABASE_URL": dbmate_url(database_url)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Startup(f"The migrations did not end within {TIMEOUT_S} s.") from error
    if done.returncode:
        complaint = (done.stderr or done.stdout).strip().splitlines()
        raise Startup(f"The migrations failed: {complaint[-1] if complaint else 'no reason given'}")
    return done.stdout


def dbmate_url(database_url: str) -> str:
    """The same database as dbmate's driver writes it: sslmode off for sockets, which it would insist on otherwise."""
    parts = urlsplit(database_url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if "host" in query or parts.hostname in ("localhost", "127.0.0.1", "::1"):
        query.setdefault("sslmode", "disable")
    return urlunsplit(("postgres", parts.netloc, parts.path, urlencode(query, quote_via=quote), ""))
