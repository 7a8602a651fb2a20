"""The lines that the dashboard offers with a new key or client send a text and read one, as they stand."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.model.ids import new_device_id
from tests.support import http
from tests.support.dashboards import Dashboard, dashboard_of
from tests.support.rows import add_device, add_text
from tests.support.samples import TEXT, lines_of, made, printed
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.waiting import until


@pytest.fixture
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def dashboard(installation: World) -> Dashboard:
    made = await dashboard_of(installation)
    await add_device(installation.pool, new_device_id(), made.account)
    await add_text(installation.pool, TEXT, made.account)
    return made


async def test_the_lines_in_curl_and_python(dashboard: Dashboard, installation: World, tmp_path: Path) -> None:
    for place in ("keys", "keys/clients"):
        page = await made(dashboard, place)
        (tmp_path / "sample.py").write_text(lines_of(page, "Python"))
        for command in (
            ["bash", "-euo", "pipefail", "-c", lines_of(page, "curl")],
            [sys.executable, "-W", "error", "sample.py"],
        ):
            assert TEXT in await printed(command, tmp_path), (place, command[0])

    async def sent() -> bool:
        path = http.query("/log/sent/sms/", apikey=installation.account.api_key)
        rows = (await http.ask(dashboard.url, "GET", path)).json()["result"]["sms"]
        return [(row["number"], row["message"]) for row in rows] == [("+15551234567", "Hello")] * 4

    await until(sent, "four texts are in the log")
