"""Examines a machine and an installation, so that a problem's cause and cure are seen in one place."""

import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.local import caddy, control, lock, nats, ports, programs, system_user
from deploy.local.errors import LocalError
from deploy.local.paths import Home, free_bytes
from deploy.local.settings import read_settings
from deploy.local.state import read_credentials, read_run

OLDEST, NEWEST = (3, 11), (3, 13)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Literal["good", "note", "bad"]
    subject: str
    detail: str


async def examine(home: Home) -> list[Finding]:
    """Return everything found, machine first; changes nothing. Takes 2 s when something does not answer."""
    found = [*_machine(), *_space(home), *_port(home), *_files(home), *_strays()]
    run = control.running(home)
    if run is None:
        left = read_run(home)
        alive = [each.name for each in left.everyone if each.mark.alive] if left else []
        if alive:
            found.append(
                Finding(
                    "bad",
                    "processes",
                    f"left over, without a supervisor: {', '.join(alive)}; run `smsfleet down`",
                )
            )
        else:
            found.append(Finding("note", "processes", "SMSFleet is not running"))
        return found
    for each in await control.conditions(run):
        why = "".join(f"; {name}: {value}" for name, value in each.checks.items())
        verdict: Literal["good", "bad"] = "good" if each.state in ("ready", "running") else "bad"
        found.append(Finding(verdict, each.name, f"{each.state}, {each.restarts} restarts{why}"))
    if any(each.name == caddy.NAME for each in run.servers):
        found += [_runs("caddy program", programs.bundled(caddy.NAME)), await _through_caddy(home)]
    return found


def _machine() -> Iterator[Finding]:
    version = sys.version_info[:2]
    shown = platform.python_version()
    if OLDEST <= version <= NEWEST:
        yield Finding("good", "python", shown)
    else:
        yield Finding("bad", "python", f"{shown}: SMSFleet needs 3.11 to 3.13; `make up PYTHON=python3.12`")
    yield Finding(
        "good",
        "system",
        f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
    )
    finders: dict[str, Callable[[], Path]] = {
        "postgres": lambda: programs.postgres_program("postgres"),
        "nats": lambda: programs.bundled("nats-server"),
        "valkey": programs.valkey_server,
        "dbmate": lambda: programs.bundled("dbmate"),
    }
    for name, find in finders.items():
        try:
            yield _runs(name, find())
        except LocalError as problem:
            yield Finding("bad", name, str(problem))
    if os.geteuid() == 0:
        yield Finding(
            "note",
            "root",
            f"Postgres runs as the system user {system_user.NAME}, which `up` creates when missing",
        )


def _runs(name: str, program: Path) -> Finding:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return Finding("bad", name, f"{program} does not run: {problem}; delete .venv and run `make up`")
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip().splitlines()[:1]
        return Finding("bad", name, f"{program} does not run: {' '.join(told)}; install what it names")
    return Finding("good", name, done.stdout.strip().splitlines()[0])


def _space(home: Home) -> Iterator[Finding]:
    folder = next(path for path in (home.path, *home.path.parents) if path.exists())
    free = free_bytes(folder) // 1024 // 1024
    needed = nats.SMALLEST_STORE * 2 // 1024 // 1024
    if free < needed:
        yield Finding("bad", "disk", f"{free} MB free in {folder}: at least {needed} MB are needed")
    else:
        yield Finding("good", "disk", f"{free} MB free in {folder}")


def _port(home: Home) -> Iterator[Finding]:
    try:
        settings = read_settings(os.environ)
        if lock.is_taken(home):
            return
        ports.require_free(settings.bind, settings.port)
        yield Finding("good", "port", f"{settings.port} on {settings.bind} is free")
        if tls := settings.tls:
            yield _runs("caddy program", programs.bundled(caddy.NAME))
            for port, setting in ((tls.port, "SMSFLEET_TLS_PORT"), (tls.ca_port, "SMSFLEET_TLS_CA_PORT")):
                ports.require_free("0.0.0.0", port, setting)  # noqa: S104 (phones are on the network)
            yield Finding("good", "tls", f"{tls.port} and {tls.ca_port} are free; for {', '.join(tls.names)}")
    except LocalError as problem:
        yield Finding("bad", "port", str(problem))


async def _through_caddy(home: Home) -> Finding:
    """Whether the gateway answers by https, under the authority whose root certificate phones are given."""
    try:
        port = caddy.port_of(home)
    except (OSError, ValueError) as problem:
        return Finding("bad", "tls", f"Caddy's configuration cannot be read ({problem}): start again")
    if await caddy.serves(home, "localhost", port):
        return Finding("good", "tls", f"port {port} answers under this installation's own authority")
    return Finding("bad", "tls", f"port {port} does not answer under this installation's own authority: smsfleet logs")


def _files(home: Home) -> Iterator[Finding]:
    if not home.path.exists():
        yield Finding("note", "home", f"{home.path} is not there yet: `make up` makes it")
        return
    if home.path.stat().st_uid != os.geteuid():
        yield Finding("bad", "home", f"{home.path} belongs to another user: run as that user, or set SMSFLEET_HOME")
        return
    secret = [home.credentials, home.secret_key, *home.secrets.glob("*")]
    open_ones = [path for path in secret if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_ones:
        yield Finding("bad", "secrets", f"open to other users: {', '.join(map(str, open_ones))}; chmod 600 them")
    try:
        read_credentials(home)
    except LocalError as problem:
        yield Finding("bad", "credentials", str(problem))
        return
    yield Finding("good", "home", str(home.path))


def _strays() -> Iterator[Finding]:
    """Databases in /var/lib/smsfleet whose installation is gone."""
    try:
        areas = sorted(system_user.STATE.glob("*/home"))
    except OSError:
        return
    for note in areas:
        try:
            owner = Path(note.read_text().strip())
            instance = owner / "instance"
            known = instance.read_text().strip() if instance.exists() else ""
        except OSError:
            continue
        if known != note.parent.name:
            yield Finding(
                "note",
                "stray data",
                f"{note.parent} belonged to {owner}, which is gone: delete it when not needed",
            )
