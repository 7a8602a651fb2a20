"""A hung webhook's backlog, NATS away, Postgres crashed: what is due goes out all the same, or as soon as it can."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client as NatsClient

from services.webhooks.app import open_service
from services.webhooks.settings import WebhooksSettings
from services.webhooks.store.partitions import Partitions
from shared.db.migrate import migrate
from shared.db.pool import Pool, connected_pool
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.integration.conftest import QUICK
from tests.support.database import running_database
from tests.support.hostile import Answer, HostileReceiver
from tests.support.relay import Relay
from tests.support.scale import scaled
from tests.support.waiting import until
from tests.support.webhooks import World

PARKED = scaled(small=10_000, one=10_000, full=100_000)
HEALTHY = 50
EACH = 10


async def test_one_hung_webhook_with_a_backlog_delays_none_of_fifty(
    webhooks: Service, webhooks_world: World, pool: Pool, receiver: HostileReceiver
) -> None:
    world = webhooks_world
    async with HostileReceiver(Answer(behaviour="hang")) as hung:
        behind = await world.account("hung")
        hanging = await world.endpoint(behind, hung.url, width=10)
        await world.due(behind, hanging, PARKED)

        async def it_hangs() -> bool:
            return bool(hung.requests)

        await until(it_hangs, "the hung one was called")
        account = await world.account()
        for _ in range(HEALTHY):
            await world.endpoint(account, receiver.url)
        await world.publish(*[await world.text(account) for _ in range(EACH)])

        async def every_healthy_delivery_arrived() -> bool:
            return len(receiver.requests) == HEALTHY * EACH

        await until(every_healthy_delivery_arrived, "every healthy delivery arrived")

        async def the_breaker_is_open() -> bool:
            return bool((await world.state(hanging))["width"] == 0)

        await until(the_breaker_is_open, "the hung one gets probes only", 30)
    state = await world.state(hanging)
    assert state["pending"] == PARKED, "nothing of its backlog is lost"
    assert len({(each.headers["webhook-id"], each.body) for each in receiver.requests}) == EACH


async def test_due_deliveries_go_out_while_nats_is_away_and_events_after_it(
    settings: ServiceSettings, webhooks_world: World, nats_client: NatsClient, receiver: HostileReceiver
) -> None:
    world = webhooks_world
    account = await world.account()
    endpoint = await world.endpoint(account, receiver.url)
    async with Relay.to(settings.nats_url) as line:
        own = msgspec.to_builtins(settings) | {"nats_url": line.url}
        async with open_service(msgspec.convert(own, WebhooksSettings), QUICK) as service:
            await line.cut()

            async def nats_is_away() -> bool:
                return service.health.ready()[1]["nats"] != "ok"

            await until(nats_is_away, "the service has noticed")
            await world.due(account, endpoint, 5)
            await until(lambda: world.all_are("delivered"), "what was due arrived without NATS")
            await world.publish(await world.text(account))
            await line.mend()

            async def the_event_arrived() -> bool:
                return len(receiver.requests) == 6

            await until(the_event_arrived, "the event arrived with NATS", 40)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wh") as folder:
        yield Path(folder)


async def test_after_a_crash_of_postgres_everything_goes_on_unaided(
    settings: ServiceSettings, nats_client: NatsClient, receiver: HostileReceiver, short_folder: Path
) -> None:
    async with running_database(short_folder / "database") as database:
        await asyncio.to_thread(migrate, database.url)
        own = msgspec.to_builtins(settings) | {"database_url": database.url}
        crashing = msgspec.convert(own, WebhooksSettings)
        async with connected_pool(crashing, "test") as pool:
            await Partitions(pool).make_ahead()
            world = World(pool, Vault(SECRET))
            account = await world.account()
            endpoint = await world.endpoint(account, receiver.url)
            async with open_service(crashing, QUICK) as service:
                await world.due(account, endpoint, 3)
                await until(lambda: world.all_are("delivered"), "the first arrived")
                await database.crash()
                await database.start()
                await world.due(account, endpoint, 3)
                await until(lambda: world.all_are("delivered"), "the others arrived after the crash", 30)

                async def ready() -> bool:
                    return service.health.ready()[0]

                await until(ready, "it is ready again")
    assert len(receiver.requests) >= 6
