"""Keeps one program running: starts it again, with growing pauses, when it dies or no longer answers."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Awaitable, Callable

from deploy.local import processes, server_logs
from deploy.local.errors import LocalError, PortTaken
from deploy.local.processes import Program
from deploy.local.state import Running

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
_HEALTHY_AFTER_S = 10.0
_WATCH_EVERY_S = 5.0
_DEAF_AFTER = 6


class Keeper:
    """One program under supervision. Its record tells run.json what is true now."""

    def __init__(
        self,
        program: Program,
        changed: Callable[[], None],
        tries: int = 1,
        alive: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`changed` is called when the record has changed.

        `tries` is how often it may die before it was ever ready. `alive`, asked every 5 s once it was ready,
        restarts the program after 6 failures in a row: it runs but serves nobody.
        """
        self.program = program
        self.record = Running(
            program.name,
            health_url=program.health_url,
            metrics_url=program.metrics_url,
            stop_signal=int(program.stop_signal),
        )
        self._changed = changed
        self._tries = tries
        self._alive = alive
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._was_ready = False
        self._failure: LocalError | None = None

    def start(self) -> None:
        """Start the program and keep it running until stop()."""
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def wait_ready(self, timeout_s: float) -> None:
        """Return when the program has proved that it serves.

        Raise LocalError if it cannot or is too slow, PortTaken if its port is somebody else's.
        """
        deadline = time.monotonic() + timeout_s
        pause = 0.02
        while not await self.program.ready():
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > deadline:
                raise LocalError(f"{self.program.name} was not ready after {timeout_s:.0f} s: see {self.program.log}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        self._was_ready = True

    async def stop(self, hurry: asyncio.Event | None = None) -> bool:
        """Stop the program for good, draining; return False when it had to be killed.

        It is killed after its time, or as soon as `hurry` is set.
        """
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task
        process = self._process
        if process is None:
            return True
        urged = asyncio.create_task(_kill_when(hurry, process)) if hurry is not None else None
        try:
            went = await processes.stop(process, self.program.stop_signal, self.program.stop_after_s)
        finally:
            if urged is not None:
                urged.cancel()
        self._ended()
        return went

    async def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        failures = 0
        while True:
            begins = server_logs.size(self.program.log)
            begun = time.monotonic()
            try:
                self._begin()
                await self._until_it_ends()
                code = self._process.returncode if self._process else None
                failure = server_logs.failure(self.program.name, self.program.log, begins, self.program.data, code)
            except OSError as problem:
                failure = LocalError(f"{self.program.name} cannot be started: {problem}")
            self._ended()
            if not self._was_ready:
                failures += 1
                if failures >= self._tries or isinstance(failure, PortTaken):
                    self._failure = failure
                    return
            if time.monotonic() - begun > _HEALTHY_AFTER_S:
                pause = FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            self.record.restarts += 1

    def _begin(self) -> None:
        self._process = processes.spawn(self.program)
        self.record.pid = self._process.pid
        self.record.started = processes.started(self._process.pid)
        self._changed()

    def _ended(self) -> None:
        self.record.pid, self.record.started = 0, ""
        self._changed()

    async def _until_it_ends(self) -> None:
        process = self._process
        assert process is not None
        deaf = 0
        while not await processes.exited(process, _WATCH_EVERY_S):
            if self._alive is None or not self._was_ready:
                continue
            deaf = 0 if await self._alive() else deaf + 1
            if deaf >= _DEAF_AFTER:
                await processes.stop(process, self.program.stop_signal, 5.0)


async def _kill_when(hurry: asyncio.Event, process: "subprocess.Popen[bytes]") -> None:
    await hurry.wait()
    process.kill()
