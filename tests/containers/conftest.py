"""One system of docker compose for all tests of this folder; they leave it running and at rest."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.containers.project import Project


@pytest.fixture(scope="session")
async def project() -> AsyncIterator[Project]:
    """Started, set up, and with the demo's phone and receiver; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="smsfleet-compose-") as folder:
        made = Project(Path(folder) / "clone")
        try:
            await made.start()
            await made.set_up()
            await made.up(profile="demo")
            await made.set_up("--demo")
            yield made
        finally:
            await made.end()
