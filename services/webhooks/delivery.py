"""Brings due deliveries to their URLs: claims them, posts them, writes down what came of it, and survives any end.

A delivery belongs to whoever claimed it last and only until its lease ends; a result that comes later is dropped.
So a worker may die at any moment: what it held is due again, and may then arrive twice, never not at all.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

import structlog

from services.webhooks.client import Outcome
from services.webhooks.schedule import after_failure
from services.webhooks.store import LEASE_S, Claimed, Completion, Store
from shared.bus.batching import Batcher, at_most

log = structlog.get_logger()

POLL_S = 1.0
"""How often due deliveries are looked for when nothing says that there are some."""

DRAIN_S = 5.0
"""How long a stopping worker waits for what is under way."""

STALE_AFTER_S = 10.0
"""Postgres counts as away when no claim was answered for this many seconds."""


@dataclass(frozen=True)
class Bounds:
    """How much this process has under way at once, in all and to one endpoint.

    An endpoint that did not answer the last time gets one delivery at a time, until it answers.
    """

    in_flight: int = 64
    per_endpoint: int = 8


BOUNDS = Bounds()


class Post(Protocol):
    """How a body gets to a URL."""

    def __call__(self, url: str, body: bytes) -> Awaitable[Outcome]:
        """What came of it; never raises for what a receiver does."""


class Deliverer:
    """`run()` and `complete()` must be running; `complete()` is stopped last."""

    def __init__(self, store: Store, post: Post, random: Callable[[], float], bounds: Bounds = BOUNDS) -> None:
        """`random` gives numbers from 0 up to 1."""
        self._store = store
        self._post = post
        self._random = random
        self._bounds = bounds
        self._due = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._silent: set[str] = set()
        self._completions: Batcher[Completion, None] = Batcher(
            self._complete, fits=at_most(256), bound=bounds.in_flight
        )
        self._reached_at = float("-inf")

    def wake(self) -> None:
        """Something may be due."""
        self._due.set()

    async def run(self) -> None:
        """Claims and delivers until cancelled; then waits a little for what is under way."""
        try:
            while True:
                self._due.clear()
                try:
                    await self._claim()
                except Exception as error:
                    log.warning("claiming failed", error=repr(error)[:300])
                    await asyncio.sleep(POLL_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._due.wait()
        finally:
            await self._drain()

    async def complete(self) -> None:
        """Writes results down until cancelled."""
        await self._completions.run()

    def state(self) -> str:
        """Returns "ok" when Postgres answered lately, else what is wrong (a readiness check)."""
        reached = time.monotonic() - self._reached_at < STALE_AFTER_S
        return "ok" if reached else "the database does not answer"

    async def _claim(self) -> None:
        free = self._bounds.in_flight - len(self._under_way)
        if free <= 0:
            return
        claim = uuid4()
        busy = Counter(self._under_way.values())
        for endpoint in self._silent:
            busy[endpoint] += self._bounds.per_endpoint - 1
        claimed = await self._store.claim(claim, free, self._bounds.per_endpoint, busy)
        self._reached_at = time.monotonic()
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery, claim), name=f"delivery:{delivery.id}")
            self._under_way[task] = delivery.endpoint
            task.add_done_callback(self._ended)

    async def _drain(self) -> None:
        """What does not end in time is left to the end of its lease."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAIN_S)
        left = list(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._under_way[task]
        if not task.cancelled() and (error := task.exception()):
            log.error("delivery broke off", task=task.get_name(), error=repr(error)[:300])
        # Its endpoint has room again.
        self._due.set()

    async def _deliver(self, delivery: Claimed, claim: UUID) -> None:
        begun = time.monotonic()
        outcome = await self._post(delivery.url, delivery.body)
        took_s = time.monotonic() - begun
        if outcome.status is None:
            self._silent.add(delivery.endpoint)
        else:
            self._silent.discard(delivery.endpoint)
        completion = self._judge(delivery, claim, outcome, took_s)
        log.info(
            "delivery tried",
            delivery=delivery.id,
            endpoint=delivery.endpoint,
            attempt=delivery.attempts,
            state=completion.state,
            status=outcome.status,
            error=outcome.error,
            ms=completion.duration_ms,
        )
        await self._completions.add(completion, timeout=LEASE_S)

    def _judge(self, delivery: Claimed, claim: UUID, outcome: Outcome, took_s: float) -> Completion:
        state, retry_s, counted = "delivered", None, True
        if outcome.error is not None:
            failing_s = delivery.failing_s + took_s
            retry = after_failure(delivery.attempts, failing_s, unreachable=outcome.unreachable, random=self._random)
            state = "pending" if retry else "exhausted"
            if retry:
                retry_s, counted = retry.delay_s, retry.counted
        return Completion(
            delivery=delivery,
            claim=claim,
            state=state,
            retry_s=retry_s,
            counted=counted,
            duration_ms=int(took_s * 1000),
            status=outcome.status,
            error=outcome.error,
        )

    async def _complete(self, completions: list[Completion]) -> Sequence[None]:
        """Tries until it succeeds or the leases have ended anyway."""
        deadline = time.monotonic() + LEASE_S
        while True:
            try:
                kept = await self._store.complete(completions)
                break
            except Exception as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("completing failed", count=len(completions), error=repr(error)[:300])
            await asyncio.sleep(0.5)
        if kept < len(completions):
            log.warning("results came too late", count=len(completions) - kept)
        return [None] * len(completions)
