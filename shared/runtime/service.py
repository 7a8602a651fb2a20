"""Starts a service, waits for a signal or a failure, and stops it in order; the same for all four."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

import structlog
import uvloop

from shared.errors import Startup
from shared.runtime.logging import configure_logging
from shared.runtime.operations import Health, operations_app
from shared.runtime.serving import serving
from shared.runtime.settings import ServiceSettings, load
from shared.runtime.tasks import Tasks
from shared.runtime.vitals import watch_loop

log = structlog.get_logger()

S = TypeVar("S", bound=ServiceSettings)


class Service:
    """What a running service hands to its runner: its checks and its background tasks."""

    def __init__(self) -> None:
        """Has no checks and no tasks yet."""
        self.health = Health()
        self.tasks = Tasks()


Opener = Callable[[S], contextlib.AbstractAsyncContextManager[Service]]
"""Opens everything a service needs, yields it ready to work, closes it in reverse order."""


def run_service(name: str, kind: type[S], opener: Opener[S]) -> int:
    """Runs a service until SIGTERM or SIGINT. Returns the exit code: 0 stopped, 1 failed (one line says why)."""
    try:
        settings = load(kind, os.environ)
        configure_logging(name, settings.log_level)
        return uvloop.run(_run(settings, opener))
    except Startup as error:
        print(f"smsfleet {name}: {error}", file=sys.stderr)
        return 1


async def _run(settings: S, opener: Opener[S]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    health = Health("starting")
    # The operations port is there first and goes last: it tells of the start, and of the end.
    async with (
        serving(operations_app(lambda: health), settings.metrics_bind, settings.metrics_port) as operations,
        opener(settings) as service,
    ):
        health = service.health
        service.tasks.start("event loop", watch_loop())
        log.info("started", operations_port=operations.port, pid=os.getpid())
        waits = [asyncio.create_task(event.wait()) for event in (stop, service.tasks.failed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        failed = service.tasks.failed.is_set()
        health.leave()
        log.info("stopping", failed=failed)
    log.info("stopped")
    return 1 if failed else 0
