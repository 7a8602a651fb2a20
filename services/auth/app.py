"""Puts auth together: the only place that constructs its parts."""

import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
from faststream.nats import NatsBroker, NatsMessage

from services.auth.directory import Directory
from services.auth.rpc import Answers, responders
from services.auth.settings import AuthSettings
from services.auth.store import Store
from shared.bus.connection import OnEvent
from shared.bus.worker import running_broker, undecoded, worker_broker
from shared.contracts.registry import AUTH_CHANGED
from shared.contracts.rpc.auth import AuthChanged
from shared.db.pool import Pool, connected_pool, is_surroundings_error
from shared.runtime.clock import system_clock
from shared.runtime.service import Service

REPEAT_S = 0.5
"""How often each replica tells its epoch."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AuthChanged).decode


def build(settings: AuthSettings, pool: Pool, closed: OnEvent) -> tuple[NatsBroker, Directory]:
    """The broker with every subscriber of auth, and the memory behind them. Connects to nothing."""
    broker = worker_broker(settings, "auth", closed)

    async def announce(epoch: int) -> None:
        await broker.connection.publish(AUTH_CHANGED, _encode(AuthChanged(epoch)))

    async def heard(message: NatsMessage) -> None:
        directory.hear(_decode(message.body).epoch)

    store = Store(pool)
    directory = Directory(store, announce, time.monotonic)
    for responder in responders(Answers(store, directory, system_clock), is_surroundings_error):
        responder.subscribe(broker)
    broker.subscriber(
        AUTH_CHANGED,
        decoder=undecoded,
        no_reply=True,
        title=AUTH_CHANGED,
        description=(AuthChanged.__doc__ or "").strip(),
    )(heard)
    return broker, directory


@contextlib.asynccontextmanager
async def open_service(settings: AuthSettings) -> AsyncIterator[Service]:
    """Auth with every active credential in memory, answering. Raises Startup."""
    service = Service()

    async def closed() -> None:
        service.tasks.failed.set()

    async with connected_pool(settings, "auth", size=4) as pool:
        broker, directory = build(settings, pool, closed)
        await directory.load()
        async with running_broker(broker) as connection:
            service.tasks.start("follow", directory.follow())
            service.tasks.every("repeat", REPEAT_S, directory.repeat)
            service.health.add("database", directory.state)
            service.health.add("nats", lambda: "ok" if connection.is_connected else "not connected")
            try:
                yield service
            finally:
                await service.tasks.close()
