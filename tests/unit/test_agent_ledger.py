"""The ledger: order, shared commits, and what happens when the journal fails."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.errors import JournalError
from agent.journal import Journal
from agent.ledger import Ledger
from tests.support.fake_gateway import until


class SlowJournal(Journal):
    """Waits in each commit until it is let go, and remembers the batches."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "id")
        self.gate = threading.Semaphore(0)
        self.batches: list[tuple[int, bool]] = []

    def apply(self, operations: Sequence[Callable[[Journal], Any]], durable: bool) -> list[Any]:
        assert self.gate.acquire(timeout=10)
        self.batches.append((len(operations), durable))
        return super().apply(operations, durable)


class FullDisk(Journal):
    """Cannot be written."""

    def apply(self, operations: Sequence[Callable[[Journal], Any]], durable: bool) -> list[Any]:
        raise sqlite3.OperationalError("database or disk is full")


async def test_what_queues_behind_a_commit_shares_the_next(tmp_path: Path) -> None:
    journal = SlowJournal(tmp_path / "journal.db")
    ledger = Ledger(journal)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run())
        first = ledger.states(["a"])
        await until(lambda: not ledger._queue)
        later = [ledger.begin("a", 1, 1), ledger.begin("a", 1, 2)]
        state = ledger.states(["a"])
        journal.gate.release(2)
        assert await first == {}
        assert [await begun for begun in later] == [True, False]
        assert await state == {"a": "sending"}
        ledger.close()
    assert journal.batches == [(1, False), (3, True)]
    journal.close()


async def test_closing_does_what_is_queued(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path, "id")
    ledger = Ledger(journal)
    kept = ledger.settle("a", 1, "sent", 1)
    ledger.close()
    await ledger.run()
    assert kept.done()
    assert journal.states(["a"]) == {"a": "sent"}
    assert ledger.begin("b", 1, 1).cancelled()
    journal.close()


async def test_a_journal_that_cannot_be_written_ends_everything(tmp_path: Path) -> None:
    journal = FullDisk(tmp_path / "journal.db", "id")
    ledger = Ledger(journal)
    begun = ledger.begin("a", 1, 1)
    with pytest.raises(JournalError, match="disk is full"):
        await ledger.run()
    assert begun.cancelled()
    assert ledger.begin("b", 1, 1).cancelled()
    journal.close()
