"""Gives each service's Postgres role what its store needs and no more; the one place that says who owns which table."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from shared.errors import Startup

OWNED: Final[dict[str, tuple[str, ...]]] = {
    "auth": (
        "accounts",
        "api_keys",
        "audit",
        "auth_epoch",
        "clients",
        "credential_uses",
        "device_tokens",
        "enrolment_keys",
        "revoked_tokens",
        "sign_in_links",
        "sign_in_tries",
        "signing_keys",
        "users",
    ),
    "dispatcher": (
        "apps",
        "attempts",
        "budget_use",
        "budgets",
        "campaign_rows",
        "campaigns",
        "contacts",
        "dead_letters",
        "devices",
        "history",
        "inbox",
        "lanes",
        "messages",
        "outbox",
        "outlooks",
        "paces",
        "queues",
        "search_numbers",
        "search_progress",
        "search_states",
        "search_texts",
        "sims",
        "tallies",
        "threads",
        "unsearched",
        "work",
    ),
    "webhooks": (
        "deliveries",
        "delivery_attempts",
        "endpoint_events",
        "endpoint_secrets",
        "endpoint_state",
        "endpoints",
        "events",
        "replays",
    ),
    "gateway": (),
}
"""The tables that each service writes; nobody else does."""

READS: Final[dict[str, tuple[str, ...]]] = {
    "auth": (),
    "dispatcher": ("accounts",),
    "webhooks": ("accounts", "attempts", "devices", "inbox", "messages"),
    "gateway": (
        "apps",
        "budgets",
        "devices",
        "inbox",
        "lanes",
        "messages",
        "outlooks",
        "search_numbers",
        "search_states",
        "search_texts",
        "sims",
        "tallies",
        "threads",
        "work",
    ),
}
"""The tables of others that each service reads."""

PARTITIONED: Final = ("attempts", "delivery_attempts", "history", "messages", "search_states", "search_texts")
"""Their writer attaches and detaches partitions, which only the owner of a table may."""

NUMBERED: Final = ("inbox",)
"""Their writer draws the ids itself, in another order than that of its inserts."""

APPEND_ONLY: Final = ("audit",)

SERVICES: Final = tuple(OWNED)

_LOCK: Final = 0x5345_4355
"""Two migrations at once would change the same rows of the catalogue."""


def role_of(service: str) -> str:
    """The Postgres role of a service."""
    return f"smsfleet_{service}"


def url_for(database_url: str, service: str, password: str) -> str:
    """The same database's URL for a service's own role."""
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role_of(service)}:{quote(password, safe='')}@{place}"))


def passwords_of(text: str) -> dict[str, str]:
    """What SMSFLEET_DATABASE_PASSWORDS says: `gateway:PASSWORD,dispatcher:PASSWORD,...`. Raises Startup."""
    told = dict(part.strip().partition(":")[::2] for part in text.split(",") if part.strip())
    if told and (set(told) != set(SERVICES) or not all(told.values())):
        raise Startup(f"SMSFLEET_DATABASE_PASSWORDS must give a password to each of {', '.join(SERVICES)}")
    return told


async def apply(database_url: str, passwords: Mapping[str, str]) -> bool:
    """Makes the services' roles (where `passwords` are given) and grants them what they need; run it again at will.

    False where there are no such roles: then every service uses the owner's. Raises Startup where some are missing,
    or where this role may not do it.
    """
    try:
        connection = await asyncpg.connect(database_url, timeout=10, command_timeout=60)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise Startup(f"Postgres does not answer: {type(error).__name__}: {error}") from error
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            for service, password in passwords.items():
                await connection.execute(await connection.fetchval(_MAKE_ROLE, role_of(service), password))
            there = {row["rolname"] for row in await connection.fetch(_ROLES, list(map(role_of, SERVICES)))}
            missing = [role_of(service) for service in SERVICES if role_of(service) not in there]
            if missing and there:
                raise Startup(f"The Postgres roles {', '.join(missing)} are missing: SMSFLEET_DATABASE_PASSWORDS")
            if missing:
                return False
            for row in await connection.fetch(_MEMBERSHIPS, _owners()):
                await connection.execute(row["statement"])
            tables = {row["relname"] for row in await connection.fetch(_TABLES)}
            await connection.execute(";\n".join(_grants(tables)))
            owners = [role_of(_owner(table)) for table in PARTITIONED]
            for row in await connection.fetch(_GIVE_AWAY, PARTITIONED, owners):
                await connection.execute(row["statement"])
    except asyncpg.InsufficientPrivilegeError as error:
        raise Startup(f"The database's role may not grant what the services need: {error}") from error
    finally:
        await connection.close()
    return True


def _owner(table: str) -> str:
    return next(service for service in SERVICES if table in OWNED[service])


def _owners() -> list[str]:
    return sorted({role_of(_owner(table)) for table in PARTITIONED})


def _grants(tables: set[str]) -> Iterator[str]:
    everybody = ", ".join(map(role_of, SERVICES))
    yield f"grant usage on schema public to {everybody}"
    yield f"grant create on schema public to {', '.join(_owners())}"
    for table in sorted(tables):
        yield f'revoke all on "{table}" from {everybody}'
    for service in SERVICES:
        for table in sorted(tables & set(OWNED[service])):
            verbs = "select, insert" if table in APPEND_ONLY else "select, insert, update, delete"
            yield f"grant {verbs} on {table} to {role_of(service)}"
            if table in NUMBERED:
                yield f"grant usage on sequence {table}_id_seq to {role_of(service)}"
        if reads := sorted(tables & set(READS[service])):
            yield f"grant select on {', '.join(reads)} to {role_of(service)}"


_MAKE_ROLE = """
select format(
    case when exists (select from pg_roles where rolname = $1) then 'alter' else 'create' end
        || ' role %I login password %L', $1::text, $2::text)
"""

_ROLES = "select rolname from pg_roles where rolname = any($1)"

_MEMBERSHIPS = """
select format('grant %I to %I with inherit true, set true', role, current_user) as statement
from unnest($1::text[]) as o (role)
where not pg_has_role(current_user, role, 'usage') or not pg_has_role(current_user, role, 'set')
"""
"""Whoever migrates goes on being able to change a table that it gave away."""

_TABLES = """
select relname::text from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
    and relname !~ '_[0-9]{8}$' and pg_has_role(current_user, relowner, 'usage')
"""

_GIVE_AWAY = """
select format('alter table %I owner to %I', c.relname, o.role) as statement
from unnest($1::text[], $2::text[]) as o (name, role)
join pg_class c on c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and (c.relname = o.name or c.relname ~ ('^' || o.name || '_[0-9]{8}$'))
where c.relowner <> o.role::regrole
order by c.relispartition, c.relname
"""
