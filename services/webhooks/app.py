"""Puts webhooks together: the only place that constructs its parts."""

import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from faststream.nats import NatsBroker

from services.webhooks.client import DEADLINES, Deadlines, opened_client
from services.webhooks.consumers import FanOut, consumer
from services.webhooks.delivery import BOUNDS, Bounds, Deliverer, Post
from services.webhooks.rpc import Answers, responders
from services.webhooks.settings import WebhooksSettings
from services.webhooks.store import Store
from services.webhooks.targets import Guard
from shared.bus.connection import OnEvent
from shared.bus.consumer import BatchConsumer
from shared.bus.worker import running_broker, worker_broker
from shared.contracts.events import Event
from shared.db.pool import Pool, connected_pool, is_item_error, is_surroundings_error
from shared.runtime.service import Service

RETENTION_S = 60.0
"""Pause between two removals of old events, each of which is bounded."""


@dataclass(frozen=True)
class Parts:
    """What runs behind the broker."""

    broker: NatsBroker
    events: BatchConsumer[Event]
    deliverer: Deliverer
    store: Store


def build(
    settings: WebhooksSettings, pool: Pool, post: Post, guard: Guard, closed: OnEvent, bounds: Bounds = BOUNDS
) -> Parts:
    """The broker with every subscriber of webhooks, and what they need. Connects to nothing."""
    broker = worker_broker(settings, "webhooks", closed)
    store = Store(pool)
    deliverer = Deliverer(store, post, random.random, bounds)
    events = consumer(FanOut(store, deliverer.wake), is_item_error)
    events.subscribe(broker)
    for responder in responders(Answers(store, guard), is_surroundings_error):
        responder.subscribe(broker)
    return Parts(broker, events, deliverer, store)


@contextlib.asynccontextmanager
async def open_service(
    settings: WebhooksSettings, deadlines: Deadlines = DEADLINES, bounds: Bounds = BOUNDS
) -> AsyncIterator[Service]:
    """Webhooks at work. Raises Startup."""
    service = Service()
    guard = Guard(settings.allowed_networks())

    async def closed() -> None:
        service.tasks.failed.set()

    async with (
        connected_pool(settings, "webhooks") as pool,
        opened_client(guard, deadlines, connections=bounds.in_flight) as client,
    ):
        parts = build(settings, pool, client.post, guard, closed, bounds)
        service.tasks.start("complete", parts.deliverer.complete())
        service.tasks.start("events", parts.events.run())
        service.tasks.every(
            "event retention", RETENTION_S, partial(parts.store.forget_events, settings.retention_events_days)
        )
        service.health.add("events", parts.events.state)
        try:
            async with running_broker(parts.broker) as connection:
                service.tasks.start("deliver", parts.deliverer.run())
                service.health.add("database", parts.deliverer.state)
                service.health.add("nats", lambda: "ok" if connection.is_connected else "not connected")
                yield service
        finally:
            await service.tasks.close()
