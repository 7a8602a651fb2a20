"""The steps between running servers and a usable installation: schema, streams, first account."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from deploy.local.errors import LocalError
from deploy.local.paths import Home
from deploy.local.state import read_credentials, write_credentials

if TYPE_CHECKING:
    from nats.aio.client import Client

FIRST_ACCOUNT = "default"


async def migrate(database_url: str) -> None:
    """Bring the schema to this version's state; raise LocalError, or Startup, where that fails."""
    from shared.db.migrate import migrate as run

    await asyncio.to_thread(run, database_url)


async def provision(nats_url: str, nkey_file: str | None) -> None:
    """Make the streams and consumers; raise LocalError, or Startup, where that fails."""
    from shared.bus.provision import provision as run

    async with _nats(nats_url, nkey_file) as client:
        await run(client)


async def ensure_credentials(home: Home, base_url: str, nats_url: str, nkey_file: str | None) -> dict[str, str]:
    """Return credentials.json, made on the first start with the account `default` and its keys."""
    kept = read_credentials(home)
    if not kept.get("api_key"):
        kept = await _create_first_account(nats_url, nkey_file)
    if kept.get("base_url") != base_url or "api_key" not in read_credentials(home):
        write_credentials(home, {**kept, "base_url": base_url})
    return read_credentials(home)


async def _create_first_account(nats_url: str, nkey_file: str | None) -> dict[str, str]:
    from shared.bus.rpc import RpcClient
    from shared.contracts import registry
    from shared.contracts.rpc.auth import CreateAccount, CreateKey, ListAccounts
    from shared.errors import Conflict

    async with _nats(nats_url, nkey_file) as client:
        ask = RpcClient(client).ask
        try:
            made = await ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name=FIRST_ACCOUNT), timeout=20)
            return {"api_key": made.api_key, "enrolment_key": made.enrolment_key}
        except Conflict:
            # credentials.json was lost. The phones kept their own tokens; the user gets a new key.
            accounts = (await ask(registry.AUTH_ACCOUNT_LIST, ListAccounts(), timeout=20)).accounts
            known = next(each for each in accounts if each.name == FIRST_ACCOUNT)
            key = await ask(registry.AUTH_KEY_CREATE, CreateKey(account=known.id, name="credentials.json"), timeout=20)
            return {"api_key": key.api_key, "enrolment_key": ""}


@contextlib.asynccontextmanager
async def _nats(url: str, nkey_file: str | None) -> "AsyncIterator[Client]":
    import nats

    async def ignore(_: Exception) -> None:
        return None

    try:
        client = await nats.connect(
            url,
            name="smsfleet",
            nkeys_seed=nkey_file,
            connect_timeout=5,
            allow_reconnect=False,
            error_cb=ignore,
        )
    except Exception as problem:
        raise LocalError(f"NATS does not let us in ({problem!r}): check SMSFLEET_NATS_URL and its key") from problem
    try:
        yield client
    finally:
        await client.close()
