"""The folder of one phone: who may run in it and what stands where."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.errors import AgentError

_LOCK_PATIENCE_S = 1.0


class HomeBusy(AgentError):
    """Another agent runs in this folder already."""


class PhoneHome:
    """The paths below one phone's folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist yet."""
        self.folder = folder
        self.journal = folder / "journal.db"
        self.radio_log = folder / "radio.jsonl"
        self.incoming = folder / "incoming"
        self.connected = folder / "connected"
        self._lock = folder / "lock"

    def prepare(self) -> None:
        """Makes the folder, readable by its owner only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.incoming.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process, cleared of a killed agent's traces. Raises HomeBusy."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Whoever asks `is_running` holds the lock for an instant.
            deadline = time.monotonic() + _LOCK_PATIENCE_S
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise HomeBusy(f"Another agent runs in {self.folder} already.")
                time.sleep(0.02)
            self.say_disconnected()
            yield
        finally:
            os.close(descriptor)

    def is_running(self) -> bool:
        """Whether an agent runs in this folder now."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def say_connected(self, device: str, session: int) -> None:
        """Shows whoever waits for this phone that a session is open."""
        temporary = self.connected.with_suffix(".tmp")
        temporary.write_text(json.dumps({"device": device, "session": session, "pid": os.getpid()}) + "\n")
        temporary.replace(self.connected)

    def say_disconnected(self) -> None:
        """Shows that no session is open."""
        with suppress(FileNotFoundError):
            self.connected.unlink()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
