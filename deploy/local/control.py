"""What people do with an installation from outside its supervisor: start it, stop it, ask how it is."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from deploy.local import lock, probes, workers
from deploy.local.dashboard import first_link
from deploy.local.instance import end_left_over
from deploy.local.paths import PROJECT, Home
from deploy.local.progress import Progress, Started, relay
from deploy.local.state import Run, Running, connections, read_credentials, read_run
from shared.errors import SmsFleetError

START_S = 180.0
STOP_S = 90.0
PHONE_S = 15.0


@dataclass(frozen=True)
class Condition:
    """How one process is."""

    name: str
    kind: str
    pid: int
    restarts: int
    state: str
    """ready, running (it has nothing to ask), not ready, down."""
    checks: dict[str, str]


def start_detached(home: Home, progress: Progress) -> int | None:
    """Start a supervisor in a session of its own and wait until it is ready; return the exit code.

    None: another supervisor runs the installation. It keeps none of our descriptors; interrupted, we stop it.
    """
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=PROJECT,
            env={**os.environ, "SMSFLEET_HOME": str(home.path)},
            start_new_session=True,
            pass_fds=(writing,),
        )
    finally:
        os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        try:
            outcome = relay(lines, progress)
        except BaseException:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            raise
    if outcome is True:
        return 0
    try:
        code = process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = 1
    if code == ALREADY_RUNNING:
        return None
    if outcome is None:
        progress.failed(f"the supervisor ended (exit code {code}) before it was ready: see {home.log('supervisor')}")
    return 1


ALREADY_RUNNING = 75
"""Exit code by which a detached supervisor says that another one holds the installation."""


def wait_for_the_other(home: Home, progress: Progress) -> int:
    """Return 0 when the supervisor that holds the installation is ready, 1 when it ends or takes too long."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        run = read_run(home)
        if run is not None and run.ready and run.mark.alive:
            kept, link = read_credentials(home), _link(home, progress)
            progress.note(f"SMSFleet is already running (process {run.pid})")
            progress.ready(
                Started(
                    home=str(home.path),
                    base_url=run.base_url,
                    api_key=kept.get("api_key", ""),
                    dashboard_url=kept.get("dashboard_url", ""),
                    dashboard_link=link,
                    phones=[each.name for each in run.phones],
                    pid=run.pid,
                    already_running=True,
                )
            )
            return 0
        if not lock.is_taken(home):
            progress.failed("the other start of this installation ended: run it again")
            return 1
        time.sleep(0.05)
    progress.failed(f"another process holds {home.lock} but does not get ready: `smsfleet down`, then `smsfleet up`")
    return 1


def _link(home: Home, progress: Progress) -> str:
    try:
        known = connections(home)
        dashboard = read_credentials(home).get("dashboard_url", "")
        return asyncio.run(first_link(dashboard, known.nats_url, known.nkey("cli"))).link
    except SmsFleetError as problem:
        progress.note(f"no link to the dashboard is made: {problem}")
        return ""


def running(home: Home) -> Run | None:
    """Return the state of the installation if its supervisor lives, else None."""
    run = read_run(home)
    return run if run is not None and run.mark.alive else None


def stop(home: Home) -> tuple[bool, int]:
    """Stop the installation in order; return whether anything ran, and how many were ended by force.

    Waits at most 90 s for an orderly end.
    """
    run = running(home)
    if run is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while run.mark.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        if run.mark.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(run.pid, signal.SIGKILL)
            while run.mark.alive and time.monotonic() < deadline + 5:
                time.sleep(0.02)
    held = lock.take(home) if home.lock.exists() else None
    if held is None:
        return run is not None, 0
    try:
        ended = end_left_over(home)
    finally:
        os.close(held)
    return run is not None or ended > 0, ended


def add_phone(home: Home, account: str, enrolment_key: str) -> str | None:
    """Add a simulated phone for an account to a running installation; return its name once it is connected.

    None when no installation runs here, when it simulates no phones, or when the phone is not connected after 15 s.
    """
    run = running(home)
    if run is None or not run.phones:
        return None
    name = workers.add_phone(home, account, enrolment_key).name
    os.kill(run.pid, signal.SIGUSR1)
    deadline = time.monotonic() + PHONE_S
    while not (home.phones / name / "connected").exists():
        if time.monotonic() > deadline:
            return None
        time.sleep(0.05)
    return name


async def conditions(run: Run) -> list[Condition]:
    """Return how each process of a running installation is, asking all of them at once (2 s at most)."""
    kinds = [*(("server", each) for each in run.servers), *(("service", each) for each in run.services)]
    kinds += [("phone", each) for each in run.phones]
    return list(await asyncio.gather(*(_condition(kind, each) for kind, each in kinds)))


async def _condition(kind: str, one: Running) -> Condition:
    checks: dict[str, str] = {}
    if not one.mark.alive:
        state = "down"
    elif one.health_url is None:
        state = "running"
    elif await probes.http_ready(one.health_url):
        state = "ready"
    else:
        state = "not ready"
        told = await probes.health_checks(one.health_url)
        if isinstance(told, dict):
            checks = {str(name): str(value) for name, value in told.items() if value != "ok"}
    return Condition(one.name, kind, one.pid, one.restarts, state, checks)
