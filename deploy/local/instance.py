"""One supervisor for one installation: it holds the lock, and first ends what a killed one has left."""

import asyncio
import logging
import os
import signal

from deploy.local import lock, processes
from deploy.local.errors import LocalError
from deploy.local.paths import Home
from deploy.local.progress import Progress
from deploy.local.settings import read_settings
from deploy.local.state import read_run
from deploy.local.supervisor import Supervisor


def supervise(home: Home, progress: Progress) -> int | None:
    """Run the installation until it is told to stop; return the exit code, None when another one runs it.

    What a supervisor that was killed left behind is ended first.
    """
    try:
        settings = read_settings(os.environ)
        home.make()
        held = lock.take(home)
    except LocalError as problem:
        progress.failed(str(problem))
        return 1
    if held is None:
        return None
    try:
        _quiet_logs(home)
        ended = end_left_over(home)
        if ended:
            progress.note(f"ended {ended} processes that a killed supervisor had left behind")
        return asyncio.run(Supervisor(home, settings, progress).run())
    finally:
        os.close(held)


def end_left_over(home: Home) -> int:
    """End what a supervisor that is gone left running; return how many there were. Call it under the lock."""
    left = read_run(home)
    if left is None:
        return 0
    count = 0
    for group in (left.phones, left.services, left.servers):
        count += processes.end_left_over([(each.mark, signal.Signals(each.stop_signal)) for each in group])
    home.run.unlink(missing_ok=True)
    return count


def _quiet_logs(home: Home) -> None:
    """Send what the shared code logs in this process to a file: the screen is for the user."""
    import structlog

    log = home.log("supervisor")
    file = os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", buffering=1)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=file))
    logging.basicConfig(stream=file, level=logging.WARNING)
