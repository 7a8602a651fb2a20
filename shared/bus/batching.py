"""Groups what arrives while a slow call is under way into the next call, so that load makes batches, not timers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from shared.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """One call at a time; whatever queued meanwhile goes into the next one. A lone item waits for nothing."""

    def __init__(
        self,
        call: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        fits: Callable[[Iterable[Item]], int],
        bound: int = 10_000,
    ) -> None:
        """`call` answers a batch with one result an item; `fits` says how many of the waiting go into one batch.

        More than `bound` waiting items are refused.
        """
        self._call = call
        self._fits = fits
        self._bound = bound
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._arrived = asyncio.Event()

    async def add(self, item: Item, timeout: float) -> Result:
        """The result for this item. After `timeout` seconds, or cancelled, an item not yet sent never is.

        Raises Unavailable when full or too late, and whatever `call` raised for its batch.
        """
        if len(self._waiting) >= self._bound:
            raise Unavailable("Too much is waiting already.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        self._arrived.set()
        # A timer on the future costs a quarter of asyncio.timeout, and every message passes here.
        timer = loop.call_later(timeout, _expire, future)
        try:
            return await future
        finally:
            timer.cancel()

    async def run(self) -> None:
        """Works until cancelled; then what waits is refused with Unavailable."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    await self._one_batch()
        finally:
            for _, future in self._waiting:
                if not future.done():
                    future.set_exception(Unavailable("The service is stopping."))
            self._waiting.clear()

    async def _one_batch(self) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        if not self._waiting:
            return
        count = self._fits(item for item, _ in self._waiting)
        batch = [self._waiting.popleft() for _ in range(count)]
        batch = [(item, future) for item, future in batch if not future.done()]
        try:
            results = await self._call([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                if not future.done():
                    future.set_exception(Unavailable("The service is stopping."))
            raise
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def _expire(future: asyncio.Future[Result]) -> None:
    if not future.done():
        future.set_exception(Unavailable("It took too long."))


def at_most(count: int) -> Callable[[Iterable[object]], int]:
    """A `fits` that counts items only."""
    return lambda waiting: sum(1 for _ in islice(waiting, count))
