"""Keeps the journal off the event loop: one thread, and one transaction for whatever queued meanwhile."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from agent.drivers.base import Arrival
from agent.errors import JournalError
from agent.journal import Journal, Numbered, State
from shared.contracts.phone import Outcome

T = TypeVar("T")


class _Operation(NamedTuple):
    run: Callable[[Journal], Any]
    done: asyncio.Future[Any]
    durable: bool


class Ledger:
    """The journal as the event loop sees it; operations happen in the order in which they were asked for.

    There is no timer: one operation is committed at once, those that queue behind a commit share the next.
    If the journal fails, `run` ends with JournalError and the agent with it: nothing may be sent without it.
    """

    def __init__(self, journal: Journal) -> None:
        """`journal` is used by nobody else from now on."""
        self._journal = journal
        self._queue: list[_Operation] = []
        self._bell = asyncio.Event()
        self._closed = False
        self.journal_id = journal.id
        self.token = journal.token

    async def run(self) -> None:
        """Works until `close`, then does what is still queued. Raises JournalError."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="journal") as thread:
            while True:
                if not self._queue:
                    if self._closed:
                        return
                    self._bell.clear()
                    await self._bell.wait()
                    continue
                batch, self._queue = self._queue, []
                durable = any(operation.durable for operation in batch)
                try:
                    results = await loop.run_in_executor(
                        thread, self._journal.apply, [operation.run for operation in batch], durable
                    )
                except sqlite3.Error as error:
                    self._closed = True
                    self._abandon(batch)
                    raise JournalError(f"The journal cannot be written ({error}).") from error
                except BaseException:
                    self._closed = True
                    self._abandon(batch)
                    raise
                for operation, result in zip(batch, results, strict=True):
                    if not operation.done.done():
                        operation.done.set_result(result)

    def close(self) -> None:
        """Nothing more will be asked; `run` returns when the queue is empty."""
        self._closed = True
        self._bell.set()

    def remember_token(self, token: str) -> asyncio.Future[None]:
        """The device token is durable when this is done."""
        self.token = token
        return self._ask(lambda journal: journal.remember_token(token), durable=True)

    def begin(self, attempt: str, sim: int, now_ms: int) -> asyncio.Future[bool]:
        """Durably `sending` when this is done; only if the result is True may the radio have it."""
        return self._ask(lambda journal: journal.begin(attempt, sim, now_ms), durable=True)

    def settle(
        self, attempt: str, sim: int, state: Outcome, at_ms: int, reason: str | None = None
    ) -> asyncio.Future[None]:
        """An outcome, to be reported."""
        return self._ask(lambda journal: journal.settle(attempt, sim, state, at_ms, reason), durable=True)

    def settle_receipt(self, attempt: str, at_ms: int) -> asyncio.Future[None]:
        """A delivery receipt, to be reported."""
        return self._ask(lambda journal: journal.settle_receipt(attempt, at_ms), durable=True)

    def settle_interrupted(self, attempts: Sequence[str] | None, now_ms: int) -> asyncio.Future[int]:
        """What stands as sending (None: everything) becomes unknown."""
        return self._ask(lambda journal: journal.settle_interrupted(attempts, now_ms), durable=True)

    def report_again(self, attempts: Sequence[str]) -> asyncio.Future[None]:
        """The latest outcomes, to be reported once more."""
        return self._ask(lambda journal: journal.report_again(attempts), durable=False)

    def states(self, attempts: Sequence[str]) -> asyncio.Future[dict[str, State]]:
        """What the journal knows of these attempts."""
        return self._ask(lambda journal: journal.states(attempts), durable=False)

    def keep_texts(self, arrivals: Sequence[Arrival]) -> asyncio.Future[None]:
        """Texts that came in; durable when this is done."""
        return self._ask(lambda journal: journal.keep_texts(arrivals), durable=True)

    def waiting_reports(self, after: int, limit: int) -> asyncio.Future[list[Numbered]]:
        """Reports that are not acknowledged, from behind `after`."""
        return self._ask(lambda journal: journal.waiting_reports(after, limit), durable=False)

    def waiting_texts(self, after: int, limit: int) -> asyncio.Future[list[Numbered]]:
        """Texts that are not acknowledged, from behind `after`."""
        return self._ask(lambda journal: journal.waiting_texts(after, limit), durable=False)

    def anything_waiting(self) -> asyncio.Future[bool]:
        """Whether something is not acknowledged yet."""
        return self._ask(Journal.anything_waiting, durable=False)

    def reports_acked(self, numbers: Sequence[int]) -> asyncio.Future[None]:
        """These reports are done."""
        return self._ask(lambda journal: journal.reports_acked(numbers), durable=False)

    def texts_acked(self, numbers: Sequence[int]) -> asyncio.Future[None]:
        """These texts are done."""
        return self._ask(lambda journal: journal.texts_acked(numbers), durable=False)

    def prune(self, before_ms: int) -> asyncio.Future[bool]:
        """Forgets some of what is old; True if there may be more."""
        return self._ask(lambda journal: journal.prune(before_ms), durable=False)

    def _ask(self, run: Callable[[Journal], T], *, durable: bool) -> asyncio.Future[T]:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            done.cancel()
        else:
            self._queue.append(_Operation(run, done, durable))
            self._bell.set()
        return done

    def _abandon(self, batch: list[_Operation]) -> None:
        for operation in [*batch, *self._queue]:
            operation.done.cancel()
        self._queue.clear()
