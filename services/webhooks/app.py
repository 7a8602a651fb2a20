"""Puts webhooks together: the only place that constructs its parts."""

import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from faststream.nats import NatsBroker

from services.webhooks import metrics
from services.webhooks.client import DEADLINES, Deadlines, opened_client
from services.webhooks.consumers import FanOut, consumer
from services.webhooks.delivery import BOUNDS, Bounds, Deliverer, Post
from services.webhooks.pages import Pages
from services.webhooks.records import Records
from services.webhooks.replaying import Replaying
from services.webhooks.requests import Targets
from services.webhooks.rpc import Answers, responders
from services.webhooks.settings import WebhooksSettings
from services.webhooks.store.claims import Claims
from services.webhooks.store.deliveries import Deliveries
from services.webhooks.store.endpoints import Endpoints
from services.webhooks.store.events import Events
from services.webhooks.store.partitions import Partitions
from services.webhooks.store.replays import Replays
from services.webhooks.store.results import Results
from services.webhooks.store.upkeep import Upkeep
from services.webhooks.sweeper import Sweeper
from services.webhooks.targets import Guard
from shared.bus.connection import OnEvent
from shared.bus.consumer import BatchConsumer
from shared.bus.worker import running_broker, worker_broker
from shared.contracts.events import Event
from shared.db.pool import Pool, connected_pool, is_item_error, is_surroundings_error
from shared.runtime.clock import system_clock
from shared.runtime.service import Service
from shared.security.vault import Vault


@dataclass(frozen=True)
class Parts:
    """What runs behind the broker."""

    broker: NatsBroker
    events: BatchConsumer[Event]
    deliverer: Deliverer
    partitions: Partitions
    sweeper: Sweeper


def build(
    settings: WebhooksSettings, pool: Pool, post: Post, guard: Guard, closed: OnEvent, bounds: Bounds = BOUNDS
) -> Parts:
    """The broker with every subscriber of webhooks, and what they need. Connects to nothing. Raises Startup."""
    broker = worker_broker(settings, "webhooks", closed)
    vault = Vault(settings.secret())
    endpoints, kept, replays, partitions = Endpoints(pool), Events(pool), Replays(pool), Partitions(pool)
    deliverer = Deliverer(
        Claims(pool), Results(pool), Targets(endpoints.callees, vault, system_clock), post, random.random, bounds
    )
    fan_out = FanOut(kept, deliverer.wake)
    events = consumer(fan_out, is_item_error)
    events.subscribe(broker)
    sweeper = Sweeper(
        Upkeep(pool),
        kept,
        partitions,
        fan_out,
        Replaying(replays, kept, deliverer.wake),
        park_days=settings.webhook_park_days,
        events_days=settings.retention_events_days,
        attempts_days=settings.retention_attempts_days,
    )
    answers = Answers(endpoints, guard, vault, post, deliverer.wake, system_clock)
    records, pages = Records(Deliveries(pool), replays), Pages(kept)
    for responder in responders(answers, records, pages, sweeper.told, is_surroundings_error):
        responder.subscribe(broker)
    return Parts(broker, events, deliverer, partitions, sweeper)


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
        await parts.partitions.make_ahead()
        metrics.IN_FLIGHT.set_function(parts.deliverer.posting)
        service.tasks.start("complete", parts.deliverer.complete())
        service.tasks.start("events", parts.events.run())
        parts.sweeper.start(service.tasks)
        service.health.add("events", parts.events.state)
        try:
            async with running_broker(parts.broker) as connection:
                service.tasks.start("deliver", parts.deliverer.run())
                service.health.add("database", parts.deliverer.state)
                service.health.add("nats", lambda: "ok" if connection.is_connected else "not connected")
                yield service
        finally:
            await parts.deliverer.leave()
            await service.tasks.close()
