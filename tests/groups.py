"""Runs the groups of tests that `make test` leaves out, at the run's scale, and says which could not run and why.

`python -m tests.groups small|full [BEGINNING]`: all of them, or those whose name begins so. A group that cannot run
here is named with its reason; one that fails makes the exit code 1.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

NO_REASON = ""


@dataclass(frozen=True)
class Group:
    """A group of tests: how it is run, and why it cannot be run here (nothing: it can)."""

    name: str
    command: tuple[str, ...]
    cannot: Callable[[], str] = lambda: NO_REASON


def _no_engine() -> str:
    docker = shutil.which("docker")
    if docker is None:
        return "there is no docker command"
    answers = subprocess.run([docker, "info"], capture_output=True, timeout=30, check=False).returncode == 0
    return NO_REASON if answers else "no Docker engine answers"


def _no_node() -> str:
    if not shutil.which("node") or not shutil.which("npm"):
        return "there is no node or no npm command"
    asked = ("npm", "view", "standardwebhooks", "version", "--fetch-retries=0", "--fetch-timeout=20000")
    answers = subprocess.run(asked, capture_output=True, timeout=60, check=False).returncode == 0
    return NO_REASON if answers else "npm reaches no registry"


def _no_chromium() -> str:
    chromium = os.environ.get("SMSFLEET_TEST_CHROMIUM") or shutil.which("chromium")
    return _no_node() if chromium else "there is no chromium command"


def _no_php() -> str:
    return NO_REASON if shutil.which("php") else "there is no php command"


def _no_kubectl() -> str:
    return NO_REASON if shutil.which("kubectl") else "there is no kubectl command to render them"


PYTEST = (sys.executable, "-m", "pytest")
GROUPS = (
    Group("kills", (*PYTEST, "tests/kills")),
    Group("chaos", (*PYTEST, "tests/chaos")),
    Group("browser", (*PYTEST, "tests/browser"), _no_chromium),
    Group("containers", (sys.executable, "-m", "tests.containers"), _no_engine),
    Group("manifests", (*PYTEST, "tests/manifests"), _no_kubectl),
    Group("interop-node", (*PYTEST, "tests/interop/test_node.py"), _no_node),
    Group("interop-php", (*PYTEST, "tests/interop/test_php.py"), _no_php),
    Group("benchmarks", (sys.executable, "-m", "benchmarks")),
)


def main(scale: str, beginning: str = "") -> int:
    """Runs every group whose name begins so; returns 0 when each that could run has passed."""
    passed, failed, not_run = 0, 0, []
    seconds = {"small": "1", "full": "3"}[scale]
    for group in GROUPS:
        if not group.name.startswith(beginning):
            continue
        if why := group.cannot():
            not_run.append(f"NOT RUN: {group.name}: {why}")
            continue
        print(f"--- {group.name}", flush=True)
        environment = {"SMSFLEET_TEST_SCALE": scale, "SMSFLEET_BENCH_SECONDS": seconds}
        done = subprocess.run(group.command, env={**os.environ, **environment}, check=False)
        passed, failed = passed + (done.returncode == 0), failed + (done.returncode != 0)
    print(*not_run, f"groups: {passed} passed, {failed} failed", sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
