"""A dashboard whose account has a phone and a text that came in."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.support.dashboards import Dashboard, running_dashboard
from tests.support.gateway import DEVICE
from tests.support.rows import add_device, add_text
from tests.support.samples import TEXT


@pytest.fixture
async def dashboard(settings: ServiceSettings, pool: Pool, nats_client: Client) -> AsyncIterator[Dashboard]:
    async with running_dashboard(settings, nats_client) as running:
        await add_device(pool, DEVICE, running.account)
        await add_text(pool, TEXT, running.account)
        yield running
