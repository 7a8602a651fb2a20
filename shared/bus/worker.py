"""A FastStream broker set up the one way that is safe here, and the AsyncAPI document of what it serves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from faststream import AckPolicy, FastStream
from faststream.nats import NatsBroker, NatsMessage
from faststream.nats.security import NatsNKey
from faststream.nats.subscriber.usecases import ConcurrentCoreSubscriber, CoreSubscriber, PullStreamSubscriber
from faststream.specification.asyncapi import AsyncAPI
from nats.aio.client import Client
from nats.js import JetStreamContext

from shared.bus.connection import OnEvent, connect_options, servers, settled
from shared.contracts.registry import BROADCASTS, DURABLES, contracts
from shared.errors import Startup
from shared.runtime.settings import ServiceSettings

FINISH_S: Final = 10.0
"""How long subscribers may take to do what they were given before the stop, in seconds."""

BEGUN_S: Final = 0.005
FETCHED_S: Final = 0.1
"""How long the end of a fetch is waited for, in seconds: one that lasts longer has got nothing."""


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
        servers(settings),
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,
        logger=None,
        graceful_timeout=10,
        security=security,
        **options,
    )


@contextlib.asynccontextmanager
async def running_broker(broker: NatsBroker, *, patience_s: float = 15.0) -> AsyncIterator[Client]:
    """The broker's connection while its subscribers run; at the end they finish what they were given.

    Raises Startup when NATS does not let us in within `patience_s` seconds.
    """
    try:
        async with asyncio.timeout(patience_s):
            await broker.start()
            # Ready means that the server knows every subscription, not that they are on their way.
            await settled(broker.connection)
    except Exception as error:
        raise Startup(f"NATS does not let the subscribers start: {error!r}") from error
    try:
        yield broker.connection
    finally:
        await finish(broker)
        with contextlib.suppress(Exception):
            await broker.stop()


async def finish(broker: NatsBroker) -> None:
    """Returns when the subscribers get nothing more and have done, or for 10 s tried to do, whatever they were given.

    The connection stays open. FastStream's own stop drops what no handler has begun with.
    """
    # Draining a connection that is lost raises; what it held comes again.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(FINISH_S):
            await asyncio.gather(*(_finished(each) for each in broker.subscribers), return_exceptions=True)


class _NoMore:
    """In place of a pull subscription that is not to fetch again: who asks has handled all that was fetched before."""

    def __init__(self, pulling: JetStreamContext.PullSubscription) -> None:
        self.unsubscribe = pulling.unsubscribe
        self.asked = asyncio.Event()

    async def fetch(self, **_: Any) -> None:
        self.asked.set()
        await asyncio.get_running_loop().create_future()


async def _finished(subscriber: Any) -> None:
    if isinstance(subscriber, PullStreamSubscriber):
        if not isinstance(subscriber.subscription, _NoMore):
            await _fetched(subscriber)
    elif isinstance(subscriber, CoreSubscriber) and subscriber.subscription is not None:
        await subscriber.subscription.drain()  # type: ignore[no-untyped-call]
        subscriber.subscription = None
        if isinstance(subscriber, ConcurrentCoreSubscriber):
            await _begun(subscriber)
    await subscriber.lock.wait_release(FINISH_S)


async def _fetched(subscriber: Any) -> None:
    subscriber.subscription = no_more = _NoMore(subscriber.subscription)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FETCHED_S):
            await no_more.asked.wait()


async def _begun(subscriber: ConcurrentCoreSubscriber) -> None:
    while True:
        # What was taken out of the buffer is with its handler a round of the loop later.
        await asyncio.sleep(BEGUN_S)
        waiting = subscriber.limiter.statistics().tasks_waiting
        if not waiting + subscriber.send_stream.statistics().current_buffer_used:
            return


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
