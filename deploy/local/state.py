"""What an installation tells about itself in files: run.json, credentials.json, how to reach its servers."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.errors import LocalError, NotRunning
from deploy.local.paths import Home, write_private
from deploy.local.processes import Mark, started


@dataclass
class Running:
    """One process of run.json; a pid of 0 while it is down."""

    name: str
    pid: int = 0
    restarts: int = 0
    health_url: str | None = None
    metrics_url: str | None = None
    started: str = ""
    """Tells this process from a later one with the same number."""
    stop_signal: int = 15

    @property
    def mark(self) -> Mark:
        """What to recognise the process by."""
        return Mark(self.pid, self.started)


@dataclass
class Run:
    """The content of run.json: scripts rely on pid, base_url and services."""

    pid: int
    base_url: str
    started: str
    ready: bool = False
    services: list[Running] = field(default_factory=list)
    phones: list[Running] = field(default_factory=list)
    servers: list[Running] = field(default_factory=list)

    @property
    def mark(self) -> Mark:
        """What to recognise the supervisor by."""
        return Mark(self.pid, self.started)

    @property
    def everyone(self) -> list[Running]:
        """All processes below the supervisor, in the order in which they are stopped."""
        return [*self.phones, *self.services, *self.servers]

    def save(self, home: Home) -> None:
        """Write run.json, whole or not at all."""
        write_private(home.run, json.dumps(asdict(self), indent=2) + "\n")


def new_run(base_url: str) -> Run:
    """Return the state of a supervisor that is this process."""
    return Run(os.getpid(), base_url, started(os.getpid()))


def read_run(home: Home) -> Run | None:
    """Return what run.json tells, whether or not it is still true; None when there is none to read."""
    try:
        told: dict[str, Any] = json.loads(home.run.read_text())
        for group in ("services", "phones", "servers"):
            told[group] = [Running(**each) for each in told[group]]
        return Run(**told)
    except FileNotFoundError:
        return None
    except PermissionError as problem:
        raise LocalError(f"{home.path} belongs to another user: run as that user") from problem
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_credentials(home: Home) -> dict[str, str]:
    """Return the content of credentials.json; {} before the first start has finished."""
    try:
        told = json.loads(home.credentials.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise LocalError(f"{home.credentials} cannot be read ({problem}): restore it from a backup") from problem
    return {str(name): str(value) for name, value in told.items()}


def write_credentials(home: Home, values: Mapping[str, str]) -> None:
    """Write credentials.json (0600), keeping names that are there already and not given anew."""
    write_private(home.credentials, json.dumps({**read_credentials(home), **values}, indent=2) + "\n")


@dataclass(frozen=True)
class Connections:
    """How programs that act for the operator reach the servers of an installation."""

    database_url: str
    nats_url: str
    redis_url: str
    nats_nkey_files: dict[str, str] = field(default_factory=dict)
    """The private key file of each role (gateway, ..., cli); empty for an external NATS without."""
    nats_nkey: str = ""
    """The private key itself, where the environment gives it; never written down."""

    def nkey(self, role: str) -> dict[str, str]:
        """Return nats-py's options for who we are; {} for a NATS that asks nobody."""
        if self.nats_nkey:
            return {"nkeys_seed_str": self.nats_nkey}
        file = self.nats_nkey_files.get(role)
        return {"nkeys_seed": file} if file else {}

    def save(self, home: Home) -> None:
        """Write them where `connections` finds them (0600)."""
        told = {name: value for name, value in asdict(self).items() if name != "nats_nkey"}
        write_private(_connections_file(home), json.dumps(told, indent=2) + "\n")


def connections(home: Home) -> Connections:
    """Return how to reach the servers: by the environment's URLs, else those of the running installation.

    What neither names is empty. Raise NotRunning when the environment names none and no installation runs.
    """
    urls = {name: os.environ.get(f"SMSFLEET_{name.upper()}", "") for name in ("database_url", "nats_url")}
    kept: dict[str, Any] = {}
    run = read_run(home)
    if run is not None and run.mark.alive:
        # Not there yet in the first moments of a first start.
        with contextlib.suppress(FileNotFoundError):
            kept = json.loads(_connections_file(home).read_text())
    if not kept and not any(urls.values()):
        raise NotRunning(f"SMSFleet is not running in {home.path}: run `make up`, or set SMSFLEET_HOME")
    urls = {name: value or str(kept.get(name, "")) for name, value in urls.items()}
    redis_url = os.environ.get("SMSFLEET_REDIS_URL") or str(kept.get("redis_url", ""))
    given = os.environ.get("SMSFLEET_NATS_NKEY_FILE", "")
    if os.environ.get("SMSFLEET_NATS_URL") or given:
        from deploy.local.credentials import NATS_ROLES, given_seed_files

        keys = dict.fromkeys(NATS_ROLES, given) if given else {}
        if folder := os.environ.get("SMSFLEET_NATS_NKEY_FOLDER"):
            keys = {role: str(path) for role, path in given_seed_files(Path(folder)).items()}
    else:
        keys = dict(kept.get("nats_nkey_files", {}))
    seed = os.environ.get("SMSFLEET_NATS_NKEY", "") if os.environ.get("SMSFLEET_NATS_URL") else ""
    return Connections(**urls, redis_url=redis_url, nats_nkey_files=keys, nats_nkey=seed)


def _connections_file(home: Home) -> Path:
    return home.secrets / "connections.json"
