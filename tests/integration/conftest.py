"""A connection for questions; the webhooks service in the test's process, and the world around it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import nats
import pytest
from nats.aio.client import Client as NatsClient

from services.webhooks.app import open_service
from services.webhooks.client import Deadlines
from services.webhooks.settings import WebhooksSettings
from shared.bus.publisher import Publisher
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.db.pool import Pool
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.support.hostile import HostileReceiver
from tests.support.servers import Servers
from tests.support.webhooks import World

QUICK = Deadlines(total_s=1.5, connect_s=0.5)

OpenWebhooks = Callable[[], AbstractAsyncContextManager[Service]]


@pytest.fixture
async def plain_client(servers: Servers) -> AsyncIterator[NatsClient]:
    """A NATS connection for questions: no stream is made or emptied for it."""
    client = await nats.connect(servers.nats_url, nkeys_seed=servers.nats_nkey_file, connect_timeout=5)
    yield client
    await client.close()


@pytest.fixture
async def webhooks_world(pool: Pool, nats_client: NatsClient) -> World:
    """An account's webhooks, and events published as the dispatcher's relay does."""
    publisher = Publisher(nats_client.jetstream(timeout=5), registry.EVENTS, registry.EVENT_ENVELOPE)
    return World(pool, Vault(SECRET), publisher)


@pytest.fixture
async def receiver() -> AsyncIterator[HostileReceiver]:
    """A customer's receiver."""
    async with HostileReceiver() as running:
        yield running


@pytest.fixture
def open_webhooks(settings: ServiceSettings, nats_client: NatsClient) -> OpenWebhooks:
    """Opens the service, with short deadlines, as often as the test likes."""
    return lambda: open_service(msgspec.convert(msgspec.to_builtins(settings), WebhooksSettings), QUICK)


@pytest.fixture
async def webhooks(open_webhooks: OpenWebhooks) -> AsyncIterator[Service]:
    """The running service."""
    async with open_webhooks() as running:
        yield running


@pytest.fixture
def webhooks_ask(webhooks: Service, nats_client: NatsClient) -> RpcClient:
    """Asks the running service."""
    return RpcClient(nats_client)
