"""The system that the end-to-end tests use: one for all of them, and a way to start own ones."""

from collections.abc import AsyncIterator

import pytest

from tests.support.system import System, running_system


@pytest.fixture(scope="session")
async def system() -> AsyncIterator[System]:
    """A running system; its tests add to it and leave it running."""
    async with running_system() as running:
        yield running
