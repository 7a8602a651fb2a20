"""Old code works on the new schema: after each migration alone, the code from before it goes on as if it were not."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from shared.db.migrate import MIGRATIONS
from tests.conftest import on_database
from tests.support.servers import Servers

ALL = sorted(MIGRATIONS.glob("*.sql"))
FIRST_RELEASE = (Path(__file__).parents[1] / "data" / "first_release.sql").read_text()

EXCUSED = {
    # It became what the endpoint's state says. The code before only ever wrote its default.
    ("20261122193000", "endpoints.enabled is not written any more"),
}
"""What was changed in spite of the rule, each with the reason why no code before it notices."""

WIDER = {"smallint": ("integer", "bigint"), "integer": ("bigint",)}


class Column(NamedTuple):
    """What code that writes and reads a column relies on."""

    type: str
    may_be_null: bool
    may_be_left_out: bool
    is_written: bool


Schema = dict[str, Column]

_COLUMNS = """
select format('%s.%s', c.relname, a.attname) as name, format_type(a.atttypid, a.atttypmod) as type,
    not a.attnotnull as may_be_null,
    not a.attnotnull or a.atthasdef or a.attidentity <> '' as may_be_left_out,
    a.attgenerated = '' and a.attidentity <> 'a' as is_written
from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and a.attnum > 0 and not a.attisdropped
"""


def broken(before: Schema, after: Schema) -> set[str]:
    """What code that knows the schema before can no longer do."""
    found = set()
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            found.add(f"{name} is gone")
            continue
        if new.type not in (old.type, *WIDER.get(old.type, ())):
            found.add(f"{name} is {new.type}")
        for rule, says in (
            ("may_be_null", "may not be null any more"),
            ("may_be_left_out", "may not be left out any more"),
            ("is_written", "is not written any more"),
        ):
            if getattr(old, rule) and not getattr(new, rule):
                found.add(f"{name} {says}")
    tables = {name.partition(".")[0] for name in before}
    for name, new in after.items():
        if name not in before and name.partition(".")[0] in tables and not new.may_be_left_out:
            found.add(f"{name} is new and must be given")
    return found


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[asyncpg.Connection]:
    """A database without a schema."""
    name = f"test_{os.urandom(6).hex()}"
    server = await asyncpg.connect(servers.database_url, timeout=10)
    await server.execute(f"create database {name}")
    connection = await asyncpg.connect(on_database(servers.database_url, name), timeout=10)
    yield connection
    await connection.close()
    await server.execute(f"drop database {name} with (force)")
    await server.close()


def test_each_file_says_when_it_runs() -> None:
    assert not [path.name for path in ALL if not re.fullmatch(r"\d{14}_(pre|post)_[a-z_]+\.sql", path.name)]


async def test_code_from_before_a_migration_works_after_it(empty: asyncpg.Connection) -> None:
    before: Schema = {}
    for number, path in enumerate(ALL):
        version, kind = path.name.split("_")[:2]
        await empty.execute(_up(path))
        after = await _schema(empty)
        if kind == "pre":
            found = {(version, each) for each in broken(before, after)}
            assert found <= EXCUSED, f"only a post migration may do this: {sorted(found - EXCUSED)}"
        await _as_the_first_release(empty, number)
        before = after
    rows = await empty.fetch("select state, count(*) as count from messages group by state")
    assert [tuple(row) for row in rows] == [("delivered", len(ALL))], "what was there lives on"
    assert await empty.fetchval("select count(*) from deliveries where state = 'delivered'") == len(ALL)


def test_what_breaks_code_is_noticed() -> None:
    column = Column("text", may_be_null=True, may_be_left_out=True, is_written=True)
    before = {"t.a": column, "t.b": column._replace(type="bigint"), "t.c": column, "t.d": column}
    after = {
        "t.b": column._replace(type="integer"),
        "t.c": column._replace(may_be_null=False),
        "t.d": column._replace(is_written=False),
        "t.e": column._replace(may_be_left_out=False),
        "u.f": column._replace(may_be_left_out=False),
    }
    assert broken(before, after) == {
        "t.a is gone",
        "t.b is integer",
        "t.c may not be null any more",
        "t.d is not written any more",
        "t.e is new and must be given",
    }


async def _schema(connection: asyncpg.Connection) -> Schema:
    return {row["name"]: Column(*tuple(row)[1:]) for row in await connection.fetch(_COLUMNS)}


async def _as_the_first_release(connection: asyncpg.Connection, number: int) -> None:
    """Does what the first release's code does, with rows of its own."""
    if not number:
        # The dispatcher makes its partitions itself, ahead of time.
        for table in ("messages", "attempts", "history"):
            await connection.execute(f"create table {table}_all partition of {table} for values from ('') to ('\\xff')")
    told = {
        "name": f"'name {number}'",
        "bytes": f"'bytes {number}'::bytea",
        "device": f"'{number:021}'",
        "message": f"'\\x{number:040x}'::bytea",
        "uuid": f"'00000000-0000-0000-0000-{number:012}'::uuid",
        "account": f"(select id from accounts where name = 'name {number}')",
    }
    statements = re.sub(rf"(?<!:):({'|'.join(told)})\b", lambda found: told[found[1]], FIRST_RELEASE)
    for statement in filter(str.strip, statements.split(";")):
        await connection.execute(statement)


def _up(path: Path) -> str:
    return path.read_text().partition("-- migrate:up")[2].partition("-- migrate:down")[0]
