"""A FastStream broker set up the one way that is safe here, and the AsyncAPI document of what it serves."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from faststream import AckPolicy, FastStream
from faststream.nats import NatsBroker, NatsMessage
from faststream.nats.security import NatsNKey
from faststream.specification.asyncapi import AsyncAPI

from shared.bus.connection import OnEvent, connect_options
from shared.contracts.registry import DURABLES, Durable, contracts
from shared.runtime.settings import ServiceSettings

BatchBody = Callable[[NatsMessage], Awaitable[NatsMessage]]


def worker_broker(settings: ServiceSettings, name: str, closed: OnEvent) -> NatsBroker:
    """A broker for one worker. Handlers get the raw message: contracts are decoded by the kits of this package.

    Acks are manual, because FastStream's default drops a message for ever on the first error.
    """
    options = connect_options(name, closed)
    security = NatsNKey(settings.nats_nkey_file) if settings.nats_nkey_file else None
    return NatsBroker(
        settings.nats_url,
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,
        logger=None,
        graceful_timeout=10,
        security=security,
        **options,
    )


async def undecoded(message: NatsMessage) -> NatsMessage:
    """FastStream's decoder slot, kept empty: the handler decodes."""
    return message


def asyncapi_document(broker: NatsBroker, title: str, version: str) -> dict[str, Any]:
    """The AsyncAPI document of a worker, with each payload's schema from its contract."""
    app = FastStream(broker, specification=AsyncAPI(title=title, version=version))
    document: dict[str, Any] = msgspec.json.decode(app.schema.to_specification().to_json())
    document["defaultContentType"] = "application/msgpack"
    schemas: dict[str, Any] = {}
    durables: dict[str, Durable] = {durable.subject: durable for durable in DURABLES}
    for channel in document["channels"].values():
        address = channel["address"]
        kinds = durables[address].items if address in durables else (contracts()[address].request,)
        references, components = msgspec.json.schema_components(
            kinds, ref_template="#/components/schemas/{name}"
        )
        schemas |= components
        (message,) = channel["messages"].values()
        name = message["$ref"].removeprefix("#/components/messages/")
        payload = references[0] if len(references) == 1 else {"oneOf": list(references)}
        document["components"]["messages"][name]["payload"] = payload
    document["components"]["schemas"] = schemas
    return document
