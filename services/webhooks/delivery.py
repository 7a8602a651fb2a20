"""Brings due deliveries to their URLs: claims them, posts them, writes down what came of it, and survives any end.

A delivery belongs to whoever claimed it last and only until its lease ends; a result that comes later is dropped.
So a worker may die at any moment: what it held is due again, and may then arrive twice, never not at all.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import structlog

from services.webhooks import metrics
from services.webhooks.breaker import GONE, OVERLOADED
from services.webhooks.client import Outcome
from services.webhooks.requests import Target, Targets
from services.webhooks.schedule import after_failure
from services.webhooks.store.claims import LEASE_S, Claimed, Claims
from services.webhooks.store.results import Completion, Results
from shared.bus.batching import Batcher, at_most

log = structlog.get_logger()

POLL_S = 1.0
"""How often due deliveries are looked for when nothing says that there are some."""

CLAIM_PART = 4
"""A worker asks for more when so small a part of its places is free."""

DRAIN_S = 5.0
"""How long a stopping worker waits for what is under way."""

STALE_AFTER_S = 10.0
"""Postgres counts as away when no claim was answered for this many seconds."""

BROKEN = Outcome(
    error="secret", detail="Its secrets cannot be opened: SMSFLEET_SECRET_KEY is not the one that sealed them."
)


@dataclass(frozen=True)
class Bounds:
    """How many posts this process has under way at once, and how many deliveries it holds in all.

    A post that has ended makes room for the next one while its result is being written down.
    """

    in_flight: int = 64
    held: int = 256


BOUNDS = Bounds()


class Post(Protocol):
    """How a body gets to a URL."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> Awaitable[Outcome]:
        """What came of it; never raises for what a receiver does."""


class Deliverer:
    """`run()` and `complete()` must be running; `complete()` is stopped last."""

    def __init__(
        self,
        claims: Claims,
        results: Results,
        targets: Targets,
        post: Post,
        random: Callable[[], float],
        bounds: Bounds = BOUNDS,
    ) -> None:
        """`random` gives numbers from 0 up to 1."""
        self._claims = claims
        self._results = results
        self._targets = targets
        self._post = post
        self._random = random
        self._bounds = bounds
        self._due = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._posting = 0
        self._leaving = False
        self._claiming = asyncio.Lock()
        self._completions: Batcher[Completion, None] = Batcher(self._complete, fits=at_most(256), bound=bounds.held)
        self._reached_at = float("-inf")

    def wake(self) -> None:
        """Something may be due."""
        self._due.set()

    async def run(self) -> None:
        """Claims and delivers until cancelled; what did not end before is left to the end of its lease."""
        try:
            while True:
                self._due.clear()
                try:
                    while await self._claim_some():
                        pass
                except Exception as error:
                    log.warning("claiming failed", error=repr(error)[:300])
                    await asyncio.sleep(POLL_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._due.wait()
        finally:
            await self._give_up()

    async def leave(self) -> None:
        """Claims no more, and returns when what is under way has ended or had its time."""
        self._leaving = True
        async with self._claiming:
            under_way = set(self._under_way)
        if under_way:
            await asyncio.wait(under_way, timeout=DRAIN_S)

    async def complete(self) -> None:
        """Writes results down until cancelled."""
        await self._completions.run()

    def state(self) -> str:
        """Returns "ok" when Postgres answered lately, else what is wrong (a readiness check)."""
        reached = time.monotonic() - self._reached_at < STALE_AFTER_S
        return "ok" if reached else "the database does not answer"

    def posting(self) -> int:
        """How many posts are under way now."""
        return self._posting

    async def _claim_some(self) -> bool:
        """Whether there may be more to claim at once."""
        async with self._claiming:
            return not self._leaving and await self._claim()

    async def _claim(self) -> bool:
        free = min(self._bounds.in_flight - self._posting, self._bounds.held - len(self._under_way))
        if free < self._bounds.in_flight // CLAIM_PART:
            # The next ones to end will ask again: a claim of many costs hardly more than one of few.
            return False
        claimed = await self._claims.claim(uuid4(), free)
        self._reached_at = time.monotonic()
        if claimed:
            await self._targets.refresh({each.endpoint: each.version for each in claimed})
        for delivery in claimed:
            self._posting += 1
            task = asyncio.create_task(self._deliver(delivery), name=f"delivery:{delivery.id}")
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        return bool(claimed)

    async def _give_up(self) -> None:
        left = list(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("delivery broke off", task=task.get_name(), error=repr(error)[:300])
        # Its endpoint's window has room again.
        self._due.set()

    async def _deliver(self, delivery: Claimed) -> None:
        try:
            target = self._targets.of(delivery.endpoint)
            if target is None:
                return  # it has ended meanwhile, and its deliveries with it
            outcome = await self._posted(target, delivery)
        finally:
            self._posting -= 1
            self._due.set()
        metrics.POSTS.labels(outcome.error or "delivered").inc()
        metrics.SECONDS.observe(outcome.duration_ms / 1000)
        if outcome.error is not None:
            log.info(
                "delivery failed",
                delivery=delivery.id,
                endpoint=delivery.endpoint,
                attempt=delivery.tries,
                status=outcome.status,
                error=outcome.error,
                ms=outcome.duration_ms,
            )
        await self._completions.add(judged(delivery, outcome, self._random), timeout=LEASE_S)

    async def _posted(self, target: Target, delivery: Claimed) -> Outcome:
        if target.broken:
            return BROKEN
        headers = target.headers(str(delivery.event), delivery.type, delivery.body, self._targets.clock())
        headers["webhook-attempt"] = str(delivery.tries)
        return await self._post(target.url, headers, delivery.body)

    async def _complete(self, completions: list[Completion]) -> Sequence[None]:
        """Tries until it succeeds or the leases have ended anyway."""
        deadline = time.monotonic() + LEASE_S
        while True:
            try:
                completed = await self._results.complete(completions, self._random())
                break
            except Exception as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("completing failed", count=len(completions), error=repr(error)[:300])
            await asyncio.sleep(0.5)
        for turn in completed.turns:
            log.warning("endpoint turned", endpoint=turn.endpoint, turn=turn.event)
        if late := len(completions) - completed.count:
            metrics.LATE.inc(late)
            log.warning("results came too late", count=late)
        return [None] * len(completions)


def judged(delivery: Claimed, outcome: Outcome, random: Callable[[], float]) -> Completion:
    """What follows from an outcome for the delivery and its endpoint. `random` gives numbers from 0 up to 1."""
    if outcome.error is None:
        return Completion(delivery, outcome)
    retry = after_failure(
        delivery.used_up,
        delivery.failing_s + outcome.duration_ms / 1000,
        error=outcome.error,
        retry_after_s=outcome.retry_after_s,
        random=random,
    )
    return Completion(
        delivery,
        outcome,
        retry_s=retry.delay_s,
        counted=retry.counted,
        last=retry.last,
        overloaded=outcome.status in OVERLOADED or outcome.error == "timeout",
        gone=outcome.status == GONE,
    )
