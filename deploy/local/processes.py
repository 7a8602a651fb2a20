"""Starts, recognises and ends processes, so that only our own are ended and none is forgotten."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02
_LARGEST_LOG = 32 * 1024 * 1024
# Looked up before any fork: a forked child must not load libraries.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Owner:
    """A system user that a program runs as when we are root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """Everything needed to start a program again and to know whether it does its work."""

    name: str
    argv: Sequence[str | Path]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    """One real round trip; False or OSError while it cannot serve."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    owner: Owner | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_after_s: float = 20.0
    """How long it may drain before it is killed."""
    health_url: str | None = None
    metrics_url: str | None = None
    data: Path | None = None
    """What it keeps on disk, and so what may be damaged when it does not start."""
    prepare: Callable[[], None] = lambda: None
    """Runs before each start, for what must not be left over from the last one."""


@dataclass(frozen=True)
class Mark:
    """A process that stays recognisable when its number is used again."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether exactly this process (not another one with its number) still runs."""
        return bool(self.started) and started(self.pid) == self.started


def started(pid: int) -> str:
    """Return when process `pid` started, as a word that no later one of its number shares; '' if gone."""
    try:
        # The name, in parentheses, may hold spaces and parentheses; the start time is the 20th word after it.
        words = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "" if words[0] in ("Z", "X") else f"{_boot()}:{words[19]}"
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return ""
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
    ).stdout.split(None, 1)
    return "" if len(shown) < 2 or shown[0].startswith("Z") else shown[1].strip()


def spawn(program: Program) -> "subprocess.Popen[bytes]":
    """Start `program` in a session of its own, its output appended to its log; raise OSError if that fails.

    It is told to stop (its stop signal) when this process dies, where the kernel can. Call it from a thread
    that lives as long as the program should: the kernel watches the thread.
    """
    program.prepare()
    _limit(program.log)
    parent = os.getpid()

    def in_child() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(program.stop_signal))
            if os.getppid() != parent:
                os._exit(0)

    log = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [str(word) for word in program.argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(program.env),
            cwd=program.cwd,
            start_new_session=True,
            preexec_fn=in_child,
            **identity(program.owner),
        )
    finally:
        os.close(log)


def _limit(log: Path) -> None:
    """Put a log that has grown aside, so that at most two of that size are kept."""
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))


def identity(owner: Owner | None) -> dict[str, Any]:
    """Return the arguments of subprocess.Popen that make a process `owner`'s; none for None."""
    return {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}


async def exited(process: "subprocess.Popen[bytes]", timeout_s: float | None = None) -> bool:
    """Return True as soon as `process` has ended, False if it has not after `timeout_s` seconds."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause = _POLL_S
    while process.poll() is None:
        if deadline is not None and time.monotonic() >= deadline:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, 0.1)
    return True


async def stop(process: "subprocess.Popen[bytes]", stop_signal: signal.Signals, after_s: float) -> bool:
    """Ask `process` to stop, kill it `after_s` seconds later; return whether it went by itself."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        # One that was halted could not obey.
        process.send_signal(signal.SIGCONT)
        if not await exited(process, after_s):
            process.kill()
            await exited(process, 5)
            return False
    return True


def end_left_over(marks: Sequence[tuple[Mark, signal.Signals]], after_s: float = 5.0) -> int:
    """End the processes of a supervisor that is gone; return how many were alive.

    Each is asked first (its signal) and killed `after_s` seconds later. A process that merely has the same
    number is never touched.
    """
    alive = [(mark, wanted) for mark, wanted in marks if mark.alive]
    for mark, wanted in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(mark.pid, wanted)
            # One that was halted could not obey.
            os.kill(mark.pid, signal.SIGCONT)
    deadline = time.monotonic() + after_s
    while any(mark.alive for mark, _ in alive) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for mark, _ in alive:
        if mark.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(mark.pid, signal.SIGKILL)
    return len(alive)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return ""
