"""Who owns which table and asks which question is declared once; the services' code keeps to exactly that."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.credentials import NATS_ROLES
from shared.bus import permissions
from shared.contracts import registry
from shared.contracts.registry import Rpc
from shared.db import privileges

ROOT = Path(__file__).parents[2]
MIGRATIONS = "\n".join(path.read_text() for path in (ROOT / "shared" / "db" / "migrations").glob("*.sql"))
TABLES = set(re.findall(r"^create (?:unlogged )?table (\w+)", MIGRATIONS, re.MULTILINE))
QUESTIONS = {name: value for name, value in vars(registry).items() if isinstance(value, Rpc)}

WRITTEN = re.compile(r"\b(?:insert into|update|delete from)\s+(\w+)")
READ = re.compile(r"\b(?:from|join|using)\s+(?:only\s+)?(\w+)")
LISTED = re.compile(r",\s+(\w+)\s+\w+\b")
"""A further table of a `from a x, b y`; other words that look so are no tables."""


def trees(service: str) -> Iterator[ast.Module]:
    for path in (ROOT / "services" / service).rglob("*.py"):
        yield ast.parse(path.read_text())


def statements(service: str) -> str:
    nodes = (node for tree in trees(service) for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "\n".join(node.value for node in nodes if isinstance(node.value, str))


def test_every_table_has_one_owner() -> None:
    owned = [table for tables in privileges.OWNED.values() for table in tables]
    assert len(owned) == len(set(owned))
    assert set(owned) == TABLES, "a new table needs its owner in shared/db/privileges.py"


@pytest.mark.parametrize("service", privileges.SERVICES)
def test_a_service_writes_its_own_tables_only(service: str) -> None:
    written = set(WRITTEN.findall(statements(service))) & TABLES
    assert written <= set(privileges.OWNED[service])


@pytest.mark.parametrize("service", privileges.SERVICES)
def test_a_service_reads_of_others_exactly_what_it_is_granted(service: str) -> None:
    text = statements(service)
    read = (set(READ.findall(text)) | set(LISTED.findall(text))) & TABLES
    assert read - set(privileges.OWNED[service]) == set(privileges.READS[service]), "see shared/db/privileges.py"


@pytest.mark.parametrize("service", permissions.SERVICES)
def test_a_service_asks_exactly_what_it_is_granted(service: str) -> None:
    nodes = [node for tree in trees(service) for node in ast.walk(tree)]
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    named |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    asked = {name for name in named & set(QUESTIONS) if QUESTIONS[name].service != service}
    granted = {name for name, question in QUESTIONS.items() if question in permissions.ASKS.get(service, ())}
    assert asked == granted, "see ASKS in shared/bus/permissions.py"


def test_the_same_roles_everywhere() -> None:
    assert set(NATS_ROLES) == set(permissions.ROLES)
    assert set(privileges.SERVICES) == set(permissions.SERVICES)
    assert {rpc.service for rpc in QUESTIONS.values()} <= set(permissions.SERVICES)
    assert {durable.service for durable in registry.DURABLES} <= set(permissions.SERVICES)
