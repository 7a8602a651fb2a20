"""Opens the NATS connection the same way everywhere: it reconnects for ever and says when it is closed for good."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog
from nats.aio.client import Client

from shared.contracts.registry import inbox_prefix
from shared.errors import Startup
from shared.runtime.settings import ServiceSettings

log = structlog.get_logger()

OnEvent = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return None


def connect_options(name: str, closed: OnEvent, reconnected: OnEvent = _nothing) -> dict[str, Any]:
    """nats-py's options for a service: reconnect for ever, notice a dead peer within 30 s, buffer nothing.

    `closed` is called when the client has given up for good; its owner must then end the process, because a
    subscriber would spin on a closed connection.
    """

    async def on_error(error: Exception) -> None:
        log.debug("nats error", error=repr(error))

    async def on_disconnected() -> None:
        log.warning("nats disconnected")

    async def on_reconnected() -> None:
        log.info("nats reconnected")
        await reconnected()

    return {
        "name": name,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.2,
        "connect_timeout": 5,
        "ping_interval": 15,
        "max_outstanding_pings": 2,
        "pending_size": -1,
        "inbox_prefix": inbox_prefix(name),
        "allow_reconnect": True,
        "error_cb": on_error,
        "closed_cb": closed,
        "disconnected_cb": on_disconnected,
        "reconnected_cb": on_reconnected,
    }


def nkey(settings: ServiceSettings) -> dict[str, str]:
    """nats-py's options for who we are; none where NATS asks nobody."""
    if settings.nats_nkey:
        return {"nkeys_seed_str": settings.nats_nkey}
    return {"nkeys_seed": settings.nats_nkey_file} if settings.nats_nkey_file else {}


def servers(settings: ServiceSettings) -> list[str]:
    """Where NATS is asked for first; the other servers of a cluster are heard of from there."""
    return [each.strip() for each in settings.nats_url.split(",")]


async def opened(url: str | list[str], **options: Any) -> Client:
    """A client of nats-py that is connected. Raises what its `connect` raises, but leaves no socket open then."""
    client = Client()
    try:
        await client.connect(url, **options)
    except BaseException:
        await client.close()
        raise
    return client


async def settled(client: Client) -> None:
    """Returns when the server has taken in everything said before, such as subscriptions. Raises nats.errors.Error."""
    # nats-py's ping overtakes what waits to be written; when its answer is there, that was written too.
    await client.flush()
    await client.flush()


@contextlib.asynccontextmanager
async def connected(
    settings: ServiceSettings, name: str, closed: OnEvent = _nothing, reconnected: OnEvent = _nothing
) -> AsyncIterator[Client]:
    """A NATS connection for the context's time. Raises Startup when there is no server that lets us in."""
    options = connect_options(name, closed, reconnected)
    options |= nkey(settings)
    try:
        client = await opened(servers(settings), **options)
    except Exception as error:
        where = ", ".join(map(_without_secrets, servers(settings)))
        raise Startup(f"NATS does not answer at {where}: {error!r}") from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            await client.close()


def _without_secrets(url: str) -> str:
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if scheme else rest.rpartition("@")[2]
