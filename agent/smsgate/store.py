"""The phone's memory: who it is, what it pulled, what became of it, and the background work that survives its death.

This is the only file of the package with SQL. Methods are synchronous and run inside the transaction of `apply`.
"""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

from agent.errors import JournalError
from agent.smsgate import states
from agent.smsgate.facts import State
from agent.smsgate.rows import Job, JobKind, New, Text, Waiting
from agent.smsgate.wire import Hook, RecipientReport, Report

T = TypeVar("T")

SCHEMA_VERSION: Final = 1001
"""Far from the socket phone's, so that each kind of phone refuses the other's file."""

_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE messages (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content BLOB NOT NULL, kind TEXT NOT NULL, sim INTEGER,
    wants_delivery INTEGER NOT NULL, valid_until_ms INTEGER, due_ms INTEGER NOT NULL, priority INTEGER NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX messages_pending ON messages (priority, n) WHERE state = 'Pending';
CREATE TABLE recipients (
    message TEXT NOT NULL, number TEXT NOT NULL, position INTEGER NOT NULL, state TEXT NOT NULL, error TEXT,
    PRIMARY KEY (message, number)
) WITHOUT ROWID;
CREATE TABLE times (
    message TEXT NOT NULL, state TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (message, state)
) WITHOUT ROWID;
CREATE INDEX times_by_state ON times (state, at_ms);
CREATE TABLE hooks (id TEXT NOT NULL, url TEXT NOT NULL, event TEXT NOT NULL);
CREATE TABLE jobs (
    n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, target TEXT NOT NULL, body BLOB NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL
);
CREATE TABLE inbox (
    hash TEXT PRIMARY KEY, sim INTEGER NOT NULL, number TEXT NOT NULL, text TEXT NOT NULL, at_ms INTEGER NOT NULL,
    seen INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Store:
    """One memory, in a file or, without a path, in this process."""

    def __init__(self, path: Path | None) -> None:
        """Opens the file or makes it. Raises JournalError. May move to another thread, not be in two at once."""
        try:
            if path is not None:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # it holds the token
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=5)
            try:
                self._open(path)
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"The phone's memory {path} cannot be used ({error}).") from error

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def apply(self, operation: Callable[["Store"], T]) -> T:
        """Runs one operation in a transaction, which survives the death of this process. Raises sqlite3.Error."""
        self._db.execute("BEGIN")
        try:
            result = operation(self)
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        return result

    # -- Who the phone is ----------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, str]:
        """All facts by name."""
        return dict(self._db.execute("SELECT name, value FROM facts"))

    def remember(self, facts: dict[str, str]) -> None:
        """Keeps these facts."""
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    def put_hooks(self, hooks: Iterable[Hook]) -> None:
        """These webhooks and no others."""
        self._db.execute("DELETE FROM hooks")
        self._db.executemany("INSERT INTO hooks VALUES (?, ?, ?)", [(h.id, h.url, h.event) for h in hooks])

    def hooks(self, event: str) -> list[tuple[str, str]]:
        """Id and URL of each webhook of an event."""
        return self._db.execute("SELECT id, url FROM hooks WHERE event = ?", (event,)).fetchall()

    # -- Messages ------------------------------------------------------------------------------------------------------

    def keep(self, new: New, now_ms: int) -> bool:
        """Keeps a message; False if its id is known, which changes nothing."""
        cursor = self._db.execute(
            "INSERT INTO messages (id, content, kind, sim, wants_delivery, valid_until_ms, due_ms, priority, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (new.id, *new[2:]),
        )
        if cursor.rowcount != 1:
            return False
        self._db.executemany(
            "INSERT INTO recipients VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
            [(new.id, number, position, new.state) for position, number in enumerate(new.numbers)],
        )
        self._note_time(new.id, new.state, now_ms)
        return True

    def next_pending(self, *, newest_first: bool, now_ms: int) -> Waiting | None:
        """The message whose turn it is, or None."""
        row = self._db.execute(
            "SELECT id, content, kind, sim, wants_delivery, valid_until_ms FROM messages"
            " WHERE state = 'Pending' AND due_ms <= ?"
            " ORDER BY priority DESC, n * ? LIMIT 1",
            (now_ms, -1 if newest_first else 1),
        ).fetchone()
        if row is None:
            return None
        id_, content, kind, sim, wants_delivery, valid_until_ms = row
        numbers = self._db.execute(
            "SELECT number FROM recipients WHERE message = ? AND state = 'Pending' ORDER BY position", (id_,)
        )
        return Waiting(id_, [number for (number,) in numbers], content, kind, sim, bool(wants_delivery), valid_until_ms)

    def next_due_ms(self) -> int | None:
        """When the first pending message is due."""
        row = self._db.execute("SELECT min(due_ms) FROM messages WHERE state = 'Pending'").fetchone()
        return None if row[0] is None else int(row[0])

    def move(self, id_: str, number: str | None, new: State, error: str | None, now_ms: int) -> int | None:
        """Moves one recipient, or all of them, where that may follow.

        Gives the number of the report's job, which is one transaction with the change; None if nothing moved.
        """
        rows = self._db.execute("SELECT number, state FROM recipients WHERE message = ?", (id_,)).fetchall()
        moved = [each for each, old in rows if number in (None, each) and states.may_follow(old, new)]
        if not moved:
            return None
        self._db.executemany(
            "UPDATE recipients SET state = ?, error = ? WHERE message = ? AND number = ?",
            [(new, error, id_, each) for each in moved],
        )
        whole = states.of_message([new if each in moved else old for each, old in rows])
        self._db.execute("UPDATE messages SET state = ? WHERE id = ?", (whole, id_))
        self._note_time(id_, whole, now_ms)
        return self.add_job("report", id_, b"", now_ms)

    def report(self, id_: str) -> Report | None:
        """What the phone says of a message now; None if it is not known."""
        row = self._db.execute("SELECT state FROM messages WHERE id = ?", (id_,)).fetchone()
        if row is None:
            return None
        recipients = self._db.execute(
            "SELECT number, state, error FROM recipients WHERE message = ? ORDER BY position", (id_,)
        )
        times = self._db.execute("SELECT state, at_ms FROM times WHERE message = ? ORDER BY at_ms", (id_,))
        return Report(id_, row[0], [RecipientReport(*each) for each in recipients], dict(times))

    def handed_over_ms(self, since_ms: int, latest: int) -> int | None:
        """When the `latest`-newest message since then went to the radio; None if fewer did."""
        row = self._db.execute(
            "SELECT at_ms FROM times WHERE state = 'Processed' AND at_ms > ? ORDER BY at_ms DESC LIMIT 1 OFFSET ?",
            (since_ms, latest - 1),
        ).fetchone()
        return None if row is None else int(row[0])

    def forget(self, before_ms: int) -> None:
        """Forgets what has not changed since and is not pending; whoever lists it again has it sent again."""
        ids = self._db.execute(
            "SELECT m.id FROM messages m JOIN times t ON t.message = m.id AND t.state = m.state"
            " WHERE t.at_ms < ? AND m.state <> 'Pending'",
            (before_ms,),
        ).fetchall()
        self._db.executemany("DELETE FROM times WHERE message = ?", ids)
        self._db.executemany("DELETE FROM recipients WHERE message = ?", ids)
        self._db.executemany("DELETE FROM messages WHERE id = ?", ids)

    # -- Background work -----------------------------------------------------------------------------------------------

    def add_job(self, kind: JobKind, target: str, body: bytes, due_ms: int) -> int:
        """The new job's number."""
        cursor = self._db.execute(
            "INSERT INTO jobs (kind, target, body, due_ms) VALUES (?, ?, ?, ?)", (kind, target, body, due_ms)
        )
        return cursor.lastrowid or 0

    def jobs(self, kind: JobKind) -> list[int]:
        """The numbers of all jobs of a kind, oldest first."""
        return [n for (n,) in self._db.execute("SELECT n FROM jobs WHERE kind = ? ORDER BY n", (kind,))]

    def job(self, n: int) -> Job:
        """One job, which exists."""
        row = self._db.execute("SELECT n, target, body, failures, due_ms FROM jobs WHERE n = ?", (n,)).fetchone()
        return Job(*row)

    def postpone(self, n: int, failures: int, due_ms: int) -> None:
        """The job failed once more and is due later."""
        self._db.execute("UPDATE jobs SET failures = ?, due_ms = ? WHERE n = ?", (failures, due_ms, n))

    def drop(self, n: int) -> None:
        """The job is done or given up."""
        self._db.execute("DELETE FROM jobs WHERE n = ?", (n,))

    # -- The phone's inbox ---------------------------------------------------------------------------------------------

    def take_in(self, text: Text, *, seen: bool) -> bool:
        """A text is in the inbox; `seen`: the app noticed it. False if one of the same hash is there already."""
        cursor = self._db.execute("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", (*text, seen))
        return cursor.rowcount == 1

    def unseen(self, since_ms: int, until_ms: int, limit: int) -> list[Text]:
        """Texts of that time that the app has not noticed, oldest first."""
        rows = self._db.execute(
            "SELECT hash, sim, number, text, at_ms FROM inbox WHERE NOT seen AND at_ms BETWEEN ? AND ?"
            " ORDER BY at_ms LIMIT ?",
            (since_ms, until_ms, limit),
        )
        return [Text(*row) for row in rows]

    def mark_seen(self, hashes: Iterable[str]) -> None:
        """The app has noticed these."""
        self._db.executemany("UPDATE inbox SET seen = 1 WHERE hash = ?", [(each,) for each in hashes])

    def _note_time(self, id_: str, state: State, now_ms: int) -> None:
        self._db.execute("INSERT INTO times VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (id_, state, now_ms))

    def _open(self, path: Path | None) -> None:
        if path is not None:
            self._db.execute("PRAGMA journal_mode = WAL")
            # As the app's own database: what is committed survives kill -9, not always a loss of power.
            self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        if version:
            raise JournalError(f"{path} is the journal of another kind of phone (version {version}).")
        self.apply(lambda _: self._make())

    def _make(self) -> None:
        for statement in _SCHEMA.split(";"):
            self._db.execute(statement)
        self.remember({"signing_key": secrets.token_hex(16)})
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
