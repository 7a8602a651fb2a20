"""Makes a process stand still without killing it: it keeps its connections and answers nothing (Linux)."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process and its children stand still for the context's time."""
    family = [pid, *_children(pid)]
    try:
        for each in family:
            _signal(each, signal.SIGSTOP)
        yield
    finally:
        for each in family:
            _signal(each, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found.append(int(folder.name))
    return found
