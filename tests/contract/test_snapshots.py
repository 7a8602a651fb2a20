"""Every wire contract is checked in as JSON schema, so that a change of the wire is always a visible diff.

`make snapshots` writes them anew; these tests make them anew and compare.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client

from deploy.local.programs import postgres_programs
from services.auth import app as auth
from services.auth.settings import AuthSettings
from services.dispatcher import app as dispatcher
from services.dispatcher.settings import DispatcherSettings
from services.webhooks import app as webhooks
from services.webhooks.client import Outcome
from services.webhooks.settings import WebhooksSettings
from services.webhooks.targets import Guard
from shared.bus.worker import asyncapi_document, worker_broker
from shared.contracts import commands, events, live, phone, registry, reports
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.conftest import TEMPLATE, on_database
from tests.support.servers import Servers

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "docs" / "contracts"
SCHEMA = ROOT / "shared" / "db" / "schema.sql"
WRITE = os.environ.get("SMSFLEET_TEST_WRITE_SNAPSHOTS") == "1"


def compare(path: Path, text: str) -> None:
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} is not what the code says; `make snapshots` writes it anew"


def schemas(kinds: list[Any]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(kinds, ref_template="#/{name}")
    return dict(sorted(components.items()))


GROUPS: dict[str, list[Any]] = {
    "commands": [commands.SubmitSms],
    "reports": [reports.AttemptReported, reports.TextReceived],
    "events": [events.Event],
    "live": [live.Hints],
    "phone": [phone.FromPhone, phone.FromGateway],
    "rpc": [kind for rpc in registry.contracts().values() for kind in (rpc.request, rpc.reply)],
}


@pytest.mark.parametrize("group", GROUPS)
def test_contracts(group: str) -> None:
    document: dict[str, Any] = schemas(GROUPS[group])
    if group == "rpc":
        subjects = {
            subject: {"request": rpc.request.__name__, "reply": rpc.reply.__name__}
            for subject, rpc in sorted(registry.contracts().items())
        }
        document = {"subjects": subjects, "schemas": document}
    compare(CONTRACTS / f"{group}.json", json.dumps(document, indent=2) + "\n")


async def _nothing() -> None:
    return None


def _auth(settings: ServiceSettings, pool: Pool) -> NatsBroker:
    return auth.build(AuthSettings(**msgspec.structs.asdict(settings)), pool, _nothing).broker


def _webhooks(settings: ServiceSettings, pool: Pool) -> NatsBroker:
    own = WebhooksSettings(**msgspec.structs.asdict(settings))
    return webhooks.build(own, pool, _never_posts, Guard([]), _nothing).broker


async def _never_posts(url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
    raise AssertionError("a document is made; nothing runs")


def _dispatcher(settings: ServiceSettings, pool: Pool) -> NatsBroker:
    broker = worker_broker(settings, "dispatcher", _nothing)
    dispatcher.assemble(DispatcherSettings(**msgspec.structs.asdict(settings)), pool, Client(), broker)
    return broker


WORKERS = {"auth": _auth, "dispatcher": _dispatcher, "webhooks": _webhooks}


def test_schema(servers: Servers) -> None:
    """The checked-in schema is what all migrations make."""
    dumped = subprocess.run(
        [
            str(postgres_programs() / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges",
            "--restrict-key=snapshot", "--exclude-table=schema_migrations", "--dbname",
            on_database(servers.database_url, TEMPLATE),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    lines = [line for line in dumped.splitlines() if line and not line.startswith(("--", "SET ", "SELECT ", "\\"))]
    compare(SCHEMA, "\n".join(lines) + "\n")


@pytest.mark.parametrize("service", WORKERS)
async def test_asyncapi(service: str) -> None:
    """What a worker consumes and answers, put together as it is when it runs, but connected to nothing."""
    settings = ServiceSettings(nats_url="nats://127.0.0.1:4222", database_url="postgresql:///smsfleet", secret_key="s")
    unopened = asyncpg.create_pool(settings.database_url)
    document = asyncapi_document(WORKERS[service](settings, unopened), f"SMSFleet {service}", "1")
    subjects = {channel["address"] for channel in document["channels"].values()}
    owned = {subject for subject, rpc in registry.contracts().items() if rpc.service == service}
    assert owned <= subjects, "every question of the registry has its responder"
    compare(CONTRACTS / f"asyncapi-{service}.json", json.dumps(document, indent=2, sort_keys=True) + "\n")
