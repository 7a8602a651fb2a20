"""What Android's WorkManager does for the app: work that repeats and can be replaced, and jobs that survive a death."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from agent.smsgate.backoff import background_s
from agent.smsgate.clock import Clock
from agent.smsgate.errors import Failure
from agent.smsgate.memory import Memory
from agent.smsgate.rows import Job, JobKind

log: Final = logging.getLogger("agent.smsgate.work")


class Periodic:
    """Unique periodic work: once at once, again after a failure with growing waits, again after the period."""

    def __init__(
        self, name: str, run: Callable[[], Awaitable[None]], every_s: float, clock: Clock, tasks: asyncio.TaskGroup
    ) -> None:
        """`tasks` owns what runs; nothing runs before the first `replace`."""
        self._name = name
        self._run = run
        self._every_s = every_s
        self._clock = clock
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None

    def replace(self) -> None:
        """Begins anew at once; what runs just now is cancelled, also in the middle of an answer (1.6)."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._tasks.create_task(self._go())

    async def _go(self) -> None:
        while True:
            await keep_trying(self._name, self._run, self._clock)
            await self._clock.sleep(self._every_s)


async def keep_trying(name: str, run: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Runs until it works, with the background's waits between."""
    failures = 0
    while True:
        try:
            return await run()
        except Failure as error:
            failures += 1
            log.info("%s failed (%s); next try in %.0f s", name, error, background_s(failures))
        await clock.sleep(background_s(failures))


class Courier:
    """Carries the jobs of one kind, each on its own schedule and in no order, until they work or are given up."""

    def __init__(
        self,
        *,
        kind: JobKind,
        memory: Memory,
        clock: Clock,
        carry: Callable[[Job], Awaitable[None]],
        tries: Callable[[], int],
        wait_s: Callable[[int], float],
        at_once: int,
    ) -> None:
        """`carry` raises Failure; `tries` is how often at most; `wait_s` is the wait after the n-th failure."""
        self._kind: JobKind = kind
        self._memory = memory
        self._clock = clock
        self._carry = carry
        self._tries = tries
        self._wait_s = wait_s
        self._places = asyncio.Semaphore(at_once)
        self._tasks: asyncio.TaskGroup | None = None
        self._under_way: set[int] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Goes on with the jobs of a former life; `tasks` owns each job's task."""
        self._tasks = tasks
        for n in await self._memory.ask(lambda store: store.jobs(self._kind)):
            self.add(n)

    def add(self, n: int) -> None:
        """There is a new job. Before `start` it only lies in the memory."""
        if self._tasks is None or n in self._under_way:
            return
        self._under_way.add(n)
        self._idle.clear()
        self._tasks.create_task(self._see_through(n))

    async def idle(self) -> None:
        """Waits until no job is left."""
        await self._idle.wait()

    async def _see_through(self, n: int) -> None:
        job = await self._memory.ask(lambda store: store.job(n))
        # Never longer than the job's own wait: the clock may have been set back.
        wait_s = min((job.due_ms - self._clock.now_ms()) / 1000, self._wait_s(max(1, job.failures)))
        failures = job.failures
        while True:
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            try:
                async with self._places:
                    await self._carry(job)
                break
            except Failure as error:
                failures += 1
                if failures >= self._tries():
                    log.warning("a %s for %s is given up: %s", self._kind, _host(job.target), error)
                    break
                wait_s = self._wait_s(failures)
                due_ms = self._clock.now_ms() + round(wait_s * 1000)
                tried = failures
                await self._memory.ask(lambda store: store.postpone(n, tried, due_ms))  # noqa: B023
        await self._memory.ask(lambda store: store.drop(n))
        self._under_way.discard(n)
        if not self._under_way:
            self._idle.set()


def _host(target: str) -> str:
    # The rest of a webhook's URL is a capability and belongs in no log.
    scheme, separator, rest = target.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}"
