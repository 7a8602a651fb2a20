"""Owned background tasks: started by name, watched, cancelled in reverse order."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()

CANCEL_AGAIN_S = 3.0
"""A task that goes on for as many seconds after its cancellation is cancelled again."""


class Tasks:
    """The background tasks of one service. A task that dies sets `failed`, which ends the process."""

    def __init__(self) -> None:
        """Starts nothing."""
        self._tasks: list[asyncio.Task[Any]] = []
        self.failed = asyncio.Event()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` until it ends or close() cancels it."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def every(self, name: str, seconds: float, tick: Callable[[], Awaitable[object]]) -> None:
        """Runs `tick` again and again, `seconds` after its last end; an error is logged and does not end it."""
        self.start(name, _repeat(name, seconds, tick))

    async def close(self) -> None:
        """Cancels all tasks, the youngest first, and waits for each."""
        for task in reversed(self._tasks):
            # Python 3.11's wait_for, which asking over NATS ends in, loses a cancellation that meets its result.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
        self._tasks.clear()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("task died", task=task.get_name(), error=repr(error))
            self.failed.set()


async def _repeat(name: str, seconds: float, tick: Callable[[], Awaitable[object]]) -> None:
    failures = 0
    while True:
        try:
            await tick()
            failures = 0
        except Exception as error:
            failures += 1
            if failures == 1 or failures % 60 == 0:
                log.warning("tick failed", task=name, error=repr(error), failures=failures)
        await asyncio.sleep(seconds)
