"""A FastStream broker set up the one way that is safe here, and the AsyncAPI document of what it serves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from faststream import AckPolicy, FastStream
from faststream.nats import NatsBroker, NatsMessage
from faststream.nats.security import NatsNKey
from faststream.specification.asyncapi import AsyncAPI
from nats.aio.client import Client

from shared.bus.connection import OnEvent, connect_options
from shared.contracts.registry import BROADCASTS, DURABLES, contracts
from shared.errors import Startup
from shared.runtime.settings import ServiceSettings


def worker_broker(settings: ServiceSettings, name: str, closed: OnEvent) -> NatsBroker:
    """A broker for one worker. Handlers get the raw message: contracts are decoded by the kits of this package.

    Acks are manual, because FastStream's default drops a message for ever on the first error.
    """
    options = connect_options(name, closed)
    security: NatsNKey | None = None
    if settings.nats_nkey:
        security = NatsNKey.from_seed(settings.nats_nkey)
    elif settings.nats_nkey_file:
        security = NatsNKey(settings.nats_nkey_file)
    return NatsBroker(
        settings.nats_url,
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,
        logger=None,
        graceful_timeout=10,
        security=security,
        **options,
    )


@contextlib.asynccontextmanager
async def running_broker(broker: NatsBroker, *, patience_s: float = 15.0) -> AsyncIterator[Client]:
    """The broker's connection while its subscribers run; at the end they finish what they are doing.

    Raises Startup when NATS does not let us in within `patience_s` seconds.
    """
    try:
        async with asyncio.timeout(patience_s):
            await broker.start()
            # Ready means that the server knows every subscription, not that they are on their way.
            await broker.connection.flush()
    except Exception as error:
        raise Startup(f"NATS does not let the subscribers start: {error!r}") from error
    try:
        yield broker.connection
    finally:
        # Draining a connection that is lost raises; what it held comes again.
        with contextlib.suppress(Exception):
            await broker.stop()


async def undecoded(message: NatsMessage) -> NatsMessage:
    """FastStream's decoder slot, kept empty: the handler decodes."""
    return message


def asyncapi_document(broker: NatsBroker, title: str, version: str) -> dict[str, Any]:
    """The AsyncAPI document of a worker, with each payload's schema from its contract."""
    app = FastStream(broker, specification=AsyncAPI(title=title, version=version))
    document: dict[str, Any] = msgspec.json.decode(app.schema.to_specification().to_json())
    document["defaultContentType"] = "application/msgpack"
    schemas: dict[str, Any] = {}
    payloads: dict[str, tuple[type[msgspec.Struct], ...]] = {
        **{subject: (contract.request,) for subject, contract in contracts().items()},
        **{subject: (kind,) for subject, kind in BROADCASTS.items()},
        **{durable.subject: durable.items for durable in DURABLES},
    }
    for channel in document["channels"].values():
        kinds = payloads[channel["address"]]
        references, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        schemas |= components
        (message,) = channel["messages"].values()
        name = message["$ref"].removeprefix("#/components/messages/")
        payload = references[0] if len(references) == 1 else {"oneOf": list(references)}
        document["components"]["messages"][name]["payload"] = payload
    document["components"]["schemas"] = schemas
    return document
