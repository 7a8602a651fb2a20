"""Auth under test: replicas of the real service, the questions that tests ask most, and its database taken away."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
from argon2 import PasswordHasher

from services.auth.app import open_service
from services.auth.settings import AuthSettings
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import (
    AccountCreated,
    AskTrust,
    CreateAccount,
    CredentialKind,
    IntrospectToken,
    IssueToken,
    TokenFacts,
    TokenIssued,
    Trust,
    Verdict,
    Verify,
)
from shared.contracts.rpc.clients import ClientCreated, CreateClient
from shared.runtime.clock import system_clock
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest

QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""The real one takes 64 MiB and a good part of a second."""


class Clock:
    """The machine's time, moved by `ahead` seconds."""

    ahead = 0.0

    def __call__(self) -> float:
        return system_clock() + self.ahead


@contextlib.asynccontextmanager
async def running_auth(settings: ServiceSettings, clock: Clock | None = None, **changes: Any) -> AsyncIterator[Service]:
    """A replica; `changes` are settings."""
    own = AuthSettings(**(msgspec.structs.asdict(settings) | changes))
    async with open_service(own, clock or Clock(), QUICK_HASHER) as service:
        yield service


async def new_account(ask: RpcClient, name: str = "acme") -> AccountCreated:
    return await ask.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name=name))


async def new_client(ask: RpcClient, account: int, *scopes: str, **more: Any) -> ClientCreated:
    request = CreateClient(account=account, name="shop", scopes=list(scopes), **more)
    return await ask.ask(registry.AUTH_CLIENT_CREATE, request)


async def verify(ask: RpcClient, kind: CredentialKind, secret: str) -> Verdict:
    return await ask.ask(registry.AUTH_VERIFY, Verify(kind, digest(secret)))


async def issue(ask: RpcClient, client: ClientCreated, scope: str | None = None) -> TokenIssued:
    request = IssueToken(
        client_id=client.client_id, secret=digest(client.client_secret), scope=scope, address="192.0.2.7"
    )
    return await ask.ask(registry.AUTH_TOKEN_ISSUE, request)


async def introspect(ask: RpcClient, client: ClientCreated, token: str) -> TokenFacts:
    request = IntrospectToken(client_id=client.client_id, secret=digest(client.client_secret), token=token)
    return await ask.ask(registry.AUTH_TOKEN_INTROSPECT, request)


async def trust(ask: RpcClient, since: int = 0) -> Trust:
    return await ask.ask(registry.AUTH_TRUST, AskTrust(since))


async def take_away(admin_url: str, database_url: str) -> None:
    """Nobody may connect to this one database any more: as if Postgres were away, without harm to other tests."""
    name = urlsplit(database_url).path.removeprefix("/")
    async with _connected(admin_url) as connection:
        await connection.execute(f"alter database {name} with allow_connections false")
        await hang_up(connection, name)


async def hang_up(admin: "asyncpg.Connection", database: str) -> None:
    """Ends every session of this database; its vacuum is no session, and may be ended by few."""
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and backend_type = 'client backend'",
        database,
    )


async def give_back(admin_url: str, database_url: str) -> None:
    """The database may be connected to again."""
    name = urlsplit(database_url).path.removeprefix("/")
    async with _connected(admin_url) as connection:
        await connection.execute(f"alter database {name} with allow_connections true")


@contextlib.asynccontextmanager
async def _connected(url: str) -> "AsyncIterator[asyncpg.Connection]":
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()
