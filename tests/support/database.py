"""A Postgres of a test's own beside an installation, as an operator's external one: it can be stopped."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from deploy.local import placement, postgres
from deploy.local.errors import LocalError
from deploy.local.paths import Home
from deploy.local.processes import Program, exited, spawn, stop
from tests.support.servers import KIND
from tests.support.waiting import until

START_S = 60.0
STOP_S = 15.0


class Database(Protocol):
    """One Postgres server; nobody starts it again but the test."""

    url: str

    async def start(self) -> None:
        """Starts it and waits until it answers."""

    async def crash(self) -> None:
        """Ends it at once (SIGQUIT): no checkpoint, no goodbye, what was not flushed is gone."""


class Embedded:
    """One that is a process of this machine."""

    def __init__(self, program: Program, url: str) -> None:
        """Made by `running_database`."""
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.url = url

    async def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = spawn(self._program)
        await until(self._program.ready, "Postgres answers", START_S)

    async def crash(self) -> None:
        """Ends it at once (SIGQUIT): no checkpoint, no goodbye, what was not flushed is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        assert await exited(self._process, STOP_S)

    async def stop(self) -> None:
        """Stops it in order, if it runs."""
        if self._process is not None:
            await stop(self._process, self._program.stop_signal, self._program.stop_after_s)


@contextlib.asynccontextmanager
async def running_database(home: Path) -> AsyncIterator[Database]:
    """A database for the context's time; `home` is a folder that does not exist yet, with a short path."""
    place = Home(home)
    place.make()
    if KIND == "containers":
        from tests.support.containers import Contained, running

        contained = Contained(place)
        async with running(contained.server):
            yield contained
        return
    program, url = await asyncio.to_thread(postgres.install, place, lambda _: None)
    database = Embedded(program, url)
    try:
        await database.start()
        yield database
    finally:
        await database.stop()
        with contextlib.suppress(OSError, LocalError):
            # As root it keeps its data outside its home.
            shutil.rmtree(placement.outside_area(place), ignore_errors=True)
