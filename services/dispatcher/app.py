"""Puts the dispatcher together: the only place where its parts are made."""

import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from faststream.nats import NatsBroker
from nats.aio.client import Client

from services.dispatcher.apps import AppAnswers
from services.dispatcher.campaigning import Campaigning
from services.dispatcher.consumers import Consumers
from services.dispatcher.devices import DeviceAnswers
from services.dispatcher.feeder import Feeder
from services.dispatcher.fleet import Fleet
from services.dispatcher.hints import PERIOD_S as HINTS_PERIOD_S
from services.dispatcher.hints import Hinter
from services.dispatcher.leasing import Leasing
from services.dispatcher.pace import Paces
from services.dispatcher.relay import Relay
from services.dispatcher.retention import Retention
from services.dispatcher.rpc import Answers, responders
from services.dispatcher.searching import PERIOD_S as SEARCH_PERIOD_S
from services.dispatcher.searching import Searching
from services.dispatcher.settings import DispatcherSettings
from services.dispatcher.store.apps import Apps
from services.dispatcher.store.budgets import Budgets
from services.dispatcher.store.campaigns import Campaigns
from services.dispatcher.store.dead import DeadLetterBox
from services.dispatcher.store.directory import Directory
from services.dispatcher.store.feeding import Feeding
from services.dispatcher.store.inbox import Inbox
from services.dispatcher.store.leases import Leases
from services.dispatcher.store.messages import Messages
from services.dispatcher.store.outbox import Outbox
from services.dispatcher.store.partitions import Partitions
from services.dispatcher.store.phones import Phones
from services.dispatcher.store.queues import Queues
from services.dispatcher.store.reports import Reports
from services.dispatcher.store.roster import Roster
from services.dispatcher.store.search import Search
from services.dispatcher.store.signs import Signs
from services.dispatcher.store.stories import Stories
from services.dispatcher.store.watch import Watch
from services.dispatcher.store.work import Work
from services.dispatcher.sweeper import Sweeper
from services.dispatcher.wakes import Wakes
from services.dispatcher.watchdog import PERIOD_S, Watchdog
from shared.bus.connection import connected
from shared.bus.consumer import BatchConsumer
from shared.bus.publisher import Publisher
from shared.bus.worker import running_broker, worker_broker
from shared.contracts import registry
from shared.db.pool import Pool, connected_pool
from shared.model.ids import MessageIds
from shared.runtime.clock import system_clock
from shared.runtime.health import Freshness
from shared.runtime.service import Service
from shared.runtime.signals import Bell
from shared.security.secrets import derive_key

NAME = "dispatcher"
POOL_SIZE = 12


@dataclass
class Dispatcher:
    """The dispatcher's parts that have a life of their own."""

    consumers: list[BatchConsumer[Any]]
    leasing: Leasing
    relay: Relay
    sweeper: Sweeper
    feeder: Feeder
    retention: Retention
    searching: Searching
    hinter: Hinter
    watchdog: Watchdog
    partitions: Partitions
    publishers: dict[str, Publisher]


def assemble(settings: DispatcherSettings, pool: Pool, client: Client, broker: NatsBroker) -> Dispatcher:
    """Makes every part and declares its subscribers on the broker; starts nothing."""
    queues, work, phones, roster = Queues(pool), Work(pool, settings.unknown_after_s), Phones(pool), Roster(pool)
    messages, stories, budgets = Messages(pool, queues), Stories(pool), Budgets(pool)
    inbox, dead, partitions = Inbox(pool), DeadLetterBox(pool), Partitions(pool)
    outbox_filled = Bell()
    jetstream = client.jetstream()
    publishers = {
        durable.subject: Publisher(jetstream, durable.stream, durable.subject) for durable in registry.DURABLES
    }
    fleet, paces = Fleet(roster, system_clock), Paces(roster)
    wakes = Wakes(client, fleet, queues)
    leasing = Leasing(phones, Leases(pool), queues, fleet, wakes, time.monotonic)
    hinter, search = Hinter(client), Search(pool)
    consumers = Consumers(
        messages, Reports(pool), inbox, dead, fleet, paces, wakes, outbox_filled, hinter, random.random
    ).all()
    signs = Signs(pool)
    devices = DeviceAnswers(phones, Directory(pool), budgets, signs, wakes, outbox_filled)
    answers = Answers(stories, inbox, dead, publishers, wakes, outbox_filled)
    watchdog, campaigns = Watchdog(Watch(pool)), Campaigns(pool)
    apps = Apps(pool)
    feeder = Feeder(
        Feeding(pool),
        campaigns,
        apps,
        messages,
        fleet,
        wakes,
        outbox_filled,
        MessageIds(derive_key(settings.secret(), "message-ids")),
        system_clock,
        keep_days=settings.retention_sent_days,
    )
    for consumer in consumers:
        consumer.subscribe(broker)
    campaigning, app_answers = Campaigning(campaigns, system_clock), AppAnswers(apps, signs, leasing)
    retention = Retention(
        partitions,
        stories,
        inbox,
        search,
        sent_days=settings.retention_sent_days,
        received_days=settings.retention_received_days,
    )
    for responder in responders(leasing, app_answers, devices, answers, watchdog, campaigning, retention.told):
        responder.subscribe(broker)
    relay = Relay(Outbox(pool), publishers[registry.EVENT_ENVELOPE], outbox_filled)
    return Dispatcher(
        consumers=consumers,
        leasing=leasing,
        relay=relay,
        sweeper=Sweeper(work, phones, roster, fleet, paces, leasing, wakes, outbox_filled, hinter),
        feeder=feeder,
        retention=retention,
        searching=Searching(search, hinter, lambda: any(consumer.lag_s() > 0 for consumer in consumers)),
        hinter=hinter,
        watchdog=watchdog,
        partitions=partitions,
        publishers=publishers,
    )


@contextlib.asynccontextmanager
async def open_service(settings: DispatcherSettings) -> AsyncIterator[Service]:
    """A working dispatcher for the context's time."""
    service = Service()

    async def closed() -> None:
        service.tasks.failed.set()

    async with (
        connected_pool(settings, NAME, size=POOL_SIZE) as pool,
        connected(settings, NAME, closed) as client,
    ):
        broker = worker_broker(settings, NAME, closed)
        parts = assemble(settings, pool, client, broker)
        await parts.partitions.make_ahead()
        database = Freshness("the database does not answer", 5.0, time.monotonic)
        service.health.add("database", database.state)
        service.health.add("nats", lambda: "ok" if client.is_connected else "not connected")

        async def look_at_database() -> None:
            if await parts.partitions.complete():
                database.refresh()

        await look_at_database()
        for index, consumer in enumerate(parts.consumers):
            service.tasks.start(f"consumer {index}", consumer.run())
            service.health.add(f"consumer {index}", consumer.state)
        service.tasks.start("takes", parts.leasing.run())
        service.tasks.start("comings", parts.leasing.look())
        service.tasks.every("database", 1.0, look_at_database)
        service.tasks.every("relay", 0, parts.relay.tick)
        parts.sweeper.start(service.tasks)
        parts.feeder.start(service.tasks)
        parts.retention.start(service.tasks)
        service.tasks.every("watchdog", PERIOD_S, parts.watchdog.tick)
        service.tasks.every("search", SEARCH_PERIOD_S, parts.searching.tick)
        service.tasks.every("hints", HINTS_PERIOD_S, parts.hinter.tell)
        try:
            async with running_broker(broker):
                yield service
        finally:
            await service.tasks.close()
