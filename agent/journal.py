"""The phone's memory: what it began to send, what became of it, and what the gateway does not know yet.

This is the only file with SQL. Methods are synchronous and run inside the transaction that `apply` opens.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

from agent.drivers.base import Arrival
from agent.errors import JournalError
from shared.contracts.phone import AttemptReport, Outcome, ReceivedText

SCHEMA_VERSION: Final = 1

State = Literal["sending", "unknown", "canceled", "sent", "failed", "delivered"]
"""What the journal knows of an attempt, in growing rank."""

_RANK: Final[dict[str, int]] = {
    "sending": 0, "unknown": 1, "canceled": 2, "sent": 3, "failed": 4, "delivered": 5,
}  # fmt: skip

_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE attempts (
    attempt TEXT PRIMARY KEY, sim INTEGER NOT NULL, state TEXT NOT NULL, at_ms INTEGER NOT NULL, reason TEXT
) WITHOUT ROWID;
CREATE INDEX attempts_sending ON attempts (attempt) WHERE state = 'sending';
CREATE INDEX attempts_by_age ON attempts (at_ms);
CREATE TABLE reports (
    n INTEGER PRIMARY KEY AUTOINCREMENT, attempt TEXT NOT NULL, state TEXT NOT NULL, at_ms INTEGER NOT NULL,
    reason TEXT
);
CREATE INDEX reports_by_attempt ON reports (attempt);
CREATE TABLE texts (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, sim INTEGER NOT NULL, number TEXT NOT NULL,
    text TEXT NOT NULL, at_ms INTEGER NOT NULL, utc_offset_min INTEGER NOT NULL,
    acked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX texts_waiting ON texts (n) WHERE acked = 0;
CREATE INDEX texts_acked ON texts (at_ms) WHERE acked = 1;
"""

_PRUNE_AT_ONCE: Final = 500


class Numbered(NamedTuple):
    """Something that the gateway must acknowledge, with its place in the journal."""

    n: int
    item: AttemptReport | ReceivedText


class Journal:
    """One journal file; a new file is a new memory with a new `id`."""

    def __init__(self, path: Path, new_id: str) -> None:
        """Opens the file, or makes it with `new_id` as its id. Raises JournalError where it cannot be used.

        The object may move to another thread but must not be used by two at once.
        """
        self.id = ""
        self.token: str | None = None
        self._durable = True
        try:
            _make_private(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            try:
                self._open(path, new_id)
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"The journal {path} cannot be used ({error}); "
                "if it is damaged, move it away and start again with an enrolment key."
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def apply(self, operations: Sequence[Callable[["Journal"], Any]], durable: bool) -> list[Any]:
        """Runs operations in one transaction and gives their results; all of them happen or none.

        `durable`: they are on disk on return. Otherwise they survive the death of this process, but perhaps
        not a loss of power until the next durable ones. Raises sqlite3.Error.
        """
        if durable != self._durable:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._db.execute("BEGIN")
        try:
            results = [operation(self) for operation in operations]
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        return results

    def remember_token(self, token: str) -> None:
        """Keeps the device token that replaces the enrolment key."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES ('token', ?)", (token,))
        self.token = token

    def begin(self, attempt: str, sim: int, now_ms: int) -> bool:
        """Notes that the radio gets the attempt now. False if it is known here: then it must not be sent."""
        cursor = self._db.execute(
            "INSERT INTO attempts VALUES (?, ?, 'sending', ?, NULL) ON CONFLICT DO NOTHING",
            (attempt, sim, now_ms),
        )
        return cursor.rowcount == 1

    def settle(self, attempt: str, sim: int, state: Outcome, at_ms: int, reason: str | None) -> None:
        """Notes an outcome and that it must be reported; one already noted changes nothing."""
        known = self.states([attempt]).get(attempt)
        if known == state:
            return
        if known is None or _RANK[state] > _RANK[known]:
            self._db.execute(
                "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?)", (attempt, sim, state, at_ms, reason)
            )
        self._db.execute(
            "INSERT INTO reports (attempt, state, at_ms, reason) VALUES (?, ?, ?, ?)",
            (attempt, state, at_ms, reason),
        )

    def settle_receipt(self, attempt: str, at_ms: int) -> None:
        """Notes that the recipient has the text; a receipt for an attempt that is not known is dropped."""
        row = self._db.execute("SELECT sim FROM attempts WHERE attempt = ?", (attempt,)).fetchone()
        if row is not None:
            self.settle(attempt, row[0], "delivered", at_ms, None)

    def settle_interrupted(self, attempts: Sequence[str] | None, now_ms: int) -> int:
        """Notes as unknown what stands as sending; None means all. Gives how many there were."""
        rows = self._db.execute("SELECT attempt, sim FROM attempts WHERE state = 'sending'").fetchall()
        interrupted = [row for row in rows if attempts is None or row[0] in attempts]
        for attempt, sim in interrupted:
            self.settle(attempt, sim, "unknown", now_ms, "interrupted")
        return len(interrupted)

    def report_again(self, attempts: Sequence[str]) -> None:
        """Queues the latest outcome of each attempt once more, unless a report of it waits already."""
        self._db.executemany(
            "INSERT INTO reports (attempt, state, at_ms, reason)"
            " SELECT attempt, state, at_ms, reason FROM attempts a WHERE attempt = ? AND state <> 'sending'"
            " AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.attempt = a.attempt)",
            [(attempt,) for attempt in attempts],
        )

    def states(self, attempts: Sequence[str]) -> dict[str, State]:
        """What is known of these attempts; unknown ones are left out."""
        found: dict[str, State] = {}
        for attempt in attempts:
            row = self._db.execute("SELECT state FROM attempts WHERE attempt = ?", (attempt,)).fetchone()
            if row is not None:
                found[attempt] = row[0]
        return found

    def keep_texts(self, arrivals: Sequence[Arrival]) -> None:
        """Keeps texts that came in; one kept already changes nothing."""
        self._db.executemany(
            "INSERT INTO texts (id, sim, number, text, at_ms, utc_offset_min) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [(a.id, a.sim, a.number, a.text, a.at_ms, a.utc_offset_min) for a in arrivals],
        )

    def waiting_reports(self, after: int, limit: int) -> list[Numbered]:
        """Reports that are not acknowledged, oldest first, from behind number `after`."""
        rows = self._db.execute(
            "SELECT n, attempt, state, at_ms, reason FROM reports WHERE n > ? ORDER BY n LIMIT ?",
            (after, limit),
        )
        return [
            Numbered(n, AttemptReport(attempt=attempt, state=cast(Outcome, state), at_ms=at_ms, reason=reason))
            for n, attempt, state, at_ms, reason in rows
        ]

    def waiting_texts(self, after: int, limit: int) -> list[Numbered]:
        """Texts that are not acknowledged, oldest first, from behind number `after`."""
        rows = self._db.execute(
            "SELECT n, id, sim, number, text, at_ms, utc_offset_min FROM texts WHERE acked = 0 AND n > ?"
            " ORDER BY n LIMIT ?",
            (after, limit),
        )
        return [
            Numbered(n, ReceivedText(id=id_, sim=sim, number=number, text=text, at_ms=at_ms, utc_offset_min=offset))
            for n, id_, sim, number, text, at_ms, offset in rows
        ]

    def anything_waiting(self) -> bool:
        """Whether something is not acknowledged yet."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM reports) OR EXISTS (SELECT 1 FROM texts WHERE acked = 0)"
        ).fetchone()
        return bool(row[0])

    def reports_acked(self, numbers: Sequence[int]) -> None:
        """The gateway has these reports on disk."""
        self._db.executemany("DELETE FROM reports WHERE n = ?", [(n,) for n in numbers])

    def texts_acked(self, numbers: Sequence[int]) -> None:
        """The gateway has these texts on disk; ids stay, so that none is taken up twice; words go."""
        self._db.executemany("UPDATE texts SET acked = 1, number = '', text = '' WHERE n = ?", [(n,) for n in numbers])

    def prune(self, before_ms: int) -> bool:
        """Forgets some of what is older, settled and acknowledged. True if there may be more."""
        attempts = self._db.execute(
            "DELETE FROM attempts WHERE attempt IN (SELECT attempt FROM attempts a WHERE at_ms < ?"
            " AND state <> 'sending'"
            " AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.attempt = a.attempt) LIMIT ?)",
            (before_ms, _PRUNE_AT_ONCE),
        )
        texts = self._db.execute(
            "DELETE FROM texts WHERE n IN (SELECT n FROM texts WHERE acked = 1 AND at_ms < ? LIMIT ?)",
            (before_ms, _PRUNE_AT_ONCE),
        )
        return max(attempts.rowcount, texts.rowcount) == _PRUNE_AT_ONCE

    def _open(self, path: Path, new_id: str) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._migrate(path, new_id)
        self.id = self._fact("journal") or ""
        self.token = self._fact("token")

    def _fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _migrate(self, path: Path, new_id: str) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        if version:
            raise JournalError(f"The journal {path} was written by another version ({version}) of the agent.")
        with _transaction(self._db):
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO facts VALUES ('journal', ?)", (new_id,))
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _make_private(path: Path) -> None:
    # It holds the token. SQLite gives its other files the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
