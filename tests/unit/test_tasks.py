"""Background tasks end when they are told to, also one that misses the first word."""

import asyncio

import pytest

from shared.runtime import tasks
from shared.runtime.tasks import Tasks


async def test_a_task_that_loses_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CANCEL_AGAIN_S", 0.01)
    began, lost = asyncio.Event(), asyncio.Event()

    async def deaf() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        await asyncio.Event().wait()

    owned = Tasks()
    owned.start("deaf", deaf())
    await began.wait()
    await asyncio.wait_for(owned.close(), 5)
    assert lost.is_set()
    assert not owned.failed.is_set()
