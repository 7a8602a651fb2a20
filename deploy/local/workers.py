"""How the services and simulated phones are started: commands, settings, proofs of readiness."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deploy.local import credentials
from deploy.local.errors import LocalError
from deploy.local.paths import PROJECT, Home, make_folder, write_private
from deploy.local.ports import free_port
from deploy.local.probes import http_ready
from deploy.local.processes import Program
from deploy.local.servers import Servers
from deploy.local.settings import Settings

SERVICES = ("gateway", "dispatcher", "webhooks", "auth")
PHONE_SETTINGS = ("DELAY_MS", "DELIVERY_MS", "FAILURE_RATE", "CHANNELS")
_PHONE_FILE = "phone.json"


def service(name: str, home: Home, servers: Servers, settings: Settings) -> Program:
    """Return how to run the service `name`, with health and metrics on a port of its own."""
    metrics_port = free_port()
    base = f"http://127.0.0.1:{metrics_port}"
    environment = {
        # Nobody is told the others' passwords.
        **{name: value for name, value in settings.environment.items() if name != "SMSFLEET_DATABASE_PASSWORDS"},
        "SMSFLEET_HOME": str(home.path),
        "SMSFLEET_DATABASE_URL": _database_url(name, servers),
        "SMSFLEET_NATS_URL": servers.nats_url,
        "SMSFLEET_REDIS_URL": servers.redis_url,
        "SMSFLEET_SECRET_KEY": settings.environment.get("SMSFLEET_SECRET_KEY") or credentials.secret_key(home),
        "SMSFLEET_BIND": settings.bind,
        "SMSFLEET_PORT": str(settings.port),
        "SMSFLEET_METRICS_PORT": str(metrics_port),
        "SMSFLEET_LOG_LEVEL": settings.environment.get("SMSFLEET_LOG_LEVEL") or "info",
    }
    if name in servers.nats_nkey_files:
        environment["SMSFLEET_NATS_NKEY_FILE"] = str(servers.nats_nkey_files[name])

    async def ready() -> bool:
        return await http_ready(f"{base}/health/ready")

    return Program(
        name=name,
        argv=[sys.executable, "-m", f"services.{name}"],
        log=home.log(name),
        ready=ready,
        env=environment,
        cwd=PROJECT,
        health_url=f"{base}/health/ready",
        metrics_url=f"{base}/metrics",
    )


def _database_url(service: str, servers: Servers) -> str:
    from shared.db.privileges import url_for

    password = servers.database_passwords.get(service)
    return url_for(servers.database_url, service, password) if password else servers.database_url


@dataclass(frozen=True)
class Phone:
    """A simulated phone: its name and the key by which it enrols."""

    name: str
    enrolment_key: str


def add_phone(home: Home, account: str, enrolment_key: str) -> Phone:
    """Keep a further phone, named after `account`; the supervisor starts it at its next look (SIGUSR1) or start."""
    word = re.sub(r"[^a-z0-9]+", "-", account.lower()).strip("-")[:40]
    number = 1
    while (folder := home.phones / (name := f"phone-{word or 'more'}" + (f"-{number}" if number > 1 else ""))).exists():
        number += 1
    make_folder(folder, 0o700)
    write_private(folder / _PHONE_FILE, json.dumps({"enrolment_key": enrolment_key}) + "\n")
    return Phone(name, enrolment_key)


def phones(home: Home, settings: Settings, enrolment_key: str) -> Iterator[Phone]:
    """Yield the phones that should run: those of the account `default`, then those that were added since.

    Raise LocalError for one whose file cannot be read.
    """
    if not settings.phones_allowed:
        return
    for number in range(1, settings.phones + 1):
        yield Phone(f"phone-{number}", enrolment_key)
    for file in sorted(home.phones.glob(f"*/{_PHONE_FILE}")):
        try:
            yield Phone(file.parent.name, str(json.loads(file.read_text())["enrolment_key"]))
        except (OSError, ValueError, KeyError) as problem:
            raise LocalError(f"{file} cannot be read: delete {file.parent}, or restore it") from problem


def phone(one: Phone, home: Home, settings: Settings) -> Program:
    """Return how to run a simulated phone. Like a real one it knows a URL and a key, no more."""
    folder = home.phones / one.name
    make_folder(folder, 0o700)
    connected = folder / "connected"

    async def ready() -> bool:
        return connected.exists()

    return Program(
        name=one.name,
        argv=[sys.executable, "-m", "agent"],
        log=home.log(one.name),
        ready=ready,
        env={
            **_without_ours(settings.environment),
            **{
                f"SMSFLEET_PHONE_{name}": value
                for name in PHONE_SETTINGS
                if (value := settings.environment.get(f"SMSFLEET_PHONE_{name}"))
            },
            "SMSFLEET_PHONE_URL": f"ws://{settings.local_address}/phone/v1/socket",
            "SMSFLEET_PHONE_ENROLMENT_KEY": one.enrolment_key,
            "SMSFLEET_PHONE_HOME": str(folder),
            "SMSFLEET_PHONE_NAME": one.name,
        },
        cwd=PROJECT,
        stop_after_s=10.0,
        prepare=lambda: connected.unlink(missing_ok=True),
    )


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("SMSFLEET_")}
