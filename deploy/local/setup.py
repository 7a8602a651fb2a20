"""The steps between running servers and a usable installation: schema, streams, first account."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from deploy.local.errors import LocalError
from deploy.local.paths import Home
from deploy.local.state import read_credentials, write_credentials

if TYPE_CHECKING:
    from nats.aio.client import Client

    from shared.bus.rpc import RpcClient

FIRST_ACCOUNT = "default"

FILE = "credentials.json"
"""How keys are named that stand in that file."""

RPC_S = 20.0


async def migrate(database_url: str, passwords: Mapping[str, str] | None = None) -> None:
    """Bring the schema to this version's state; with `passwords`, make the services' roles.

    Raise LocalError, or Startup, where that fails.
    """
    from shared.db.migrate import migrate as run

    await asyncio.to_thread(run, database_url, passwords)


async def provision(nats_url: str, nkey: Mapping[str, str], replicas: int = 1) -> None:
    """Make the streams and consumers; raise LocalError, or Startup, where that fails."""
    from shared.bus.provision import provision as run

    async with nats_connection(nats_url, nkey, "provision") as client:
        await run(client, replicas)


async def ensure_credentials(home: Home, base_url: str, nats_url: str, nkey: Mapping[str, str]) -> dict[str, str]:
    """Return credentials.json, made on the first start with the account `default` and its keys.

    What an older version did not write there yet, or what was lost with the file, is made now. Raise LocalError.
    """
    kept = read_credentials(home)
    reached = {"base_url": base_url, "dashboard_url": f"{base_url}/dashboard"}
    if not reached.items() <= kept.items():
        write_credentials(home, reached)
    if not kept.get("api_key") or not kept.get("client_id"):
        from shared.bus.rpc import RpcClient

        async with nats_connection(nats_url, nkey, "cli") as client:
            await _complete(home, RpcClient(client))
    return read_credentials(home)


async def _complete(home: Home, rpc: "RpcClient") -> None:
    from shared.contracts import registry
    from shared.contracts.rpc.auth import CreateAccount, CreateKey, ListAccounts
    from shared.contracts.rpc.clients import CreateClient, CreateEnrolmentKey

    accounts = (await rpc.ask(registry.AUTH_ACCOUNT_LIST, ListAccounts(), RPC_S)).accounts
    account = next((each.id for each in accounts if each.name == FIRST_ACCOUNT), None)
    if account is None:
        made = await rpc.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name=FIRST_ACCOUNT), RPC_S)
        account = made.account
        write_credentials(home, {"api_key": made.api_key, "enrolment_key": made.enrolment_key})
    elif not read_credentials(home).get("api_key"):
        # credentials.json was lost. The phones kept their own tokens; the user gets new keys.
        key = await rpc.ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name=FILE), RPC_S)
        request = CreateEnrolmentKey(account=account, multi=True, approve=True, lives_s=None)
        enrolment = await rpc.ask(registry.AUTH_ENROLMENT_CREATE, request, RPC_S)
        write_credentials(home, {"api_key": key.api_key, "enrolment_key": enrolment.enrolment_key})
    client = await rpc.ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name=FILE), RPC_S)
    write_credentials(home, {"client_id": client.client_id, "client_secret": client.client_secret})


@contextlib.asynccontextmanager
async def nats_connection(url: str, nkey: Mapping[str, str], role: str) -> "AsyncIterator[Client]":
    """Give a connection to NATS as this role for the context's time; raise LocalError where it lets us not in."""
    from shared.bus.connection import opened
    from shared.contracts.registry import inbox_prefix

    async def ignore(_: Exception) -> None:
        return None

    try:
        client = await opened(
            url,
            name="smsfleet",
            inbox_prefix=inbox_prefix(role),
            connect_timeout=5,
            allow_reconnect=False,
            error_cb=ignore,
            **nkey,
        )
    except Exception as problem:
        raise LocalError(f"NATS does not let us in ({problem!r}): check SMSFLEET_NATS_URL and its key") from problem
    try:
        yield client
    finally:
        await client.close()
