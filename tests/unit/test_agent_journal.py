"""The journal on a real SQLite file: what it refuses, keeps, repeats and forgets."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.drivers.base import Arrival
from agent.errors import JournalError
from agent.journal import Journal
from shared.contracts.phone import AttemptReport, ReceivedText


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path, "first")
    yield opened
    opened.close()


def waiting(journal: Journal) -> list[tuple[str, str]]:
    return [
        (numbered.item.attempt, numbered.item.state)
        for numbered in journal.waiting_reports(0, 100)
        if isinstance(numbered.item, AttemptReport)
    ]


def reported(journal: Journal, after: int, limit: int) -> list[tuple[int, str]]:
    """Numbers and attempts of a page of reports."""
    page = journal.waiting_reports(after, limit)
    return [(each.n, each.item.attempt) for each in page if isinstance(each.item, AttemptReport)]


def test_an_attempt_begins_once(journal: Journal) -> None:
    assert journal.begin("a", 1, 10)
    assert not journal.begin("a", 1, 11)
    journal.settle("a", 1, "sent", 12, None)
    assert not journal.begin("a", 2, 13)
    assert journal.states(["a", "b"]) == {"a": "sent"}


def test_each_outcome_is_reported_and_the_highest_is_remembered(journal: Journal) -> None:
    journal.begin("a", 1, 10)
    journal.settle_receipt("a", 30)
    journal.settle("a", 1, "sent", 20, None)
    journal.settle("a", 1, "delivered", 31, None)
    assert waiting(journal) == [("a", "delivered"), ("a", "sent")]
    assert journal.states(["a"]) == {"a": "delivered"}


def test_a_receipt_for_something_unknown_is_dropped(journal: Journal) -> None:
    journal.settle_receipt("a", 30)
    assert waiting(journal) == []


def test_what_stands_as_sending_becomes_unknown(journal: Journal) -> None:
    journal.begin("a", 1, 10)
    journal.begin("b", 2, 10)
    journal.begin("c", 1, 10)
    journal.settle("c", 1, "failed", 11, "no_service")
    assert journal.settle_interrupted(["a"], 50) == 1
    assert journal.settle_interrupted(None, 51) == 1
    assert journal.settle_interrupted(None, 52) == 0
    assert waiting(journal) == [("c", "failed"), ("a", "unknown"), ("b", "unknown")]


def test_a_later_report_of_an_unknown_attempt_counts(journal: Journal) -> None:
    journal.begin("a", 1, 10)
    journal.settle_interrupted(None, 20)
    journal.settle_receipt("a", 30)
    assert journal.states(["a"]) == {"a": "delivered"}


def test_an_outcome_is_repeated_only_when_none_waits(journal: Journal) -> None:
    journal.begin("a", 1, 10)
    journal.settle("a", 1, "failed", 11, "no_service")
    journal.report_again(["a"])
    first = journal.waiting_reports(0, 100)
    assert len(first) == 1
    journal.reports_acked([first[0].n])
    journal.report_again(["a", "never-heard-of"])
    (again,) = journal.waiting_reports(0, 100)
    assert again.item == first[0].item
    assert again.n > first[0].n


def test_what_is_being_sent_is_not_reported_on_request(journal: Journal) -> None:
    journal.begin("a", 1, 10)
    journal.report_again(["a"])
    assert waiting(journal) == []


def test_reports_are_read_in_pages(journal: Journal) -> None:
    for name in "abc":
        journal.settle(name, 1, "canceled", 1, "expired")
    first = journal.waiting_reports(0, 2)
    assert len(first) == 2
    assert [attempt for _, attempt in reported(journal, first[-1].n, 2)] == ["c"]


def test_a_text_is_kept_once_and_its_words_go_after_the_ack(journal: Journal, path: Path) -> None:
    arrival = Arrival("id-1", 2, "+15551234567", "top secret", 5, 60)
    journal.keep_texts([arrival, arrival])
    (kept,) = journal.waiting_texts(0, 10)
    assert kept.item == ReceivedText(
        id="id-1", sim=2, number="+15551234567", text="top secret", at_ms=5, utc_offset_min=60
    )
    journal.texts_acked([kept.n])
    journal.keep_texts([arrival])
    assert journal.waiting_texts(0, 10) == []
    assert not journal.anything_waiting()
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT number, text FROM texts").fetchall() == [("", "")]
    other.close()


def test_only_what_is_old_settled_and_acked_is_forgotten(journal: Journal) -> None:
    journal.begin("sending", 1, 10)
    for name, at_ms in (("old", 10), ("unacked", 10), ("new", 90)):
        journal.settle(name, 1, "sent", at_ms, None)
    journal.reports_acked([n for n, attempt in reported(journal, 0, 9) if attempt != "unacked"])
    assert journal.prune(50) is False
    assert set(journal.states(["sending", "old", "unacked", "new"])) == {"sending", "unacked", "new"}


def test_pruning_goes_in_steps(journal: Journal) -> None:
    for n in range(600):
        journal.settle(str(n), 1, "sent", 1, None)
    journal.reports_acked([n.n for n in journal.waiting_reports(0, 1000)])
    assert journal.prune(50) is True
    assert journal.prune(50) is False


def test_the_memory_survives_a_restart(path: Path) -> None:
    first = Journal(path, "first")
    first.apply([lambda j: j.remember_token("t0ken"), lambda j: j.begin("a", 1, 10)], durable=True)
    first.close()
    second = Journal(path, "second")
    assert (second.id, second.token) == ("first", "t0ken")
    assert second.states(["a"]) == {"a": "sending"}
    second.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failing_operation_undoes_its_whole_batch(journal: Journal) -> None:
    def fail(_: Journal) -> None:
        raise sqlite3.OperationalError("disk full")

    with pytest.raises(sqlite3.OperationalError):
        journal.apply([lambda j: j.begin("a", 1, 10), fail], durable=True)
    assert journal.states(["a"]) == {}
    assert journal.apply([lambda j: j.begin("a", 1, 10)], durable=True) == [True]


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_durable_batches_are_synced(journal: Journal, durable: bool, level: int) -> None:
    journal.apply([lambda j: j.begin("a", 1, 10)], durable=not durable)
    journal.apply([lambda j: j.begin("b", 1, 10)], durable=durable)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (level,)
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_damaged_file_is_one_clear_error(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(JournalError, match="move it away"):
        Journal(path, "first")


def test_a_file_of_another_version_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(JournalError, match="another version"):
        Journal(path, "first")
