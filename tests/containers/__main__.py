"""Runs the suite against containers: the same tests as against embedded servers, then docker-compose.yml itself.

All of it under SMSFLEET_TEST_SCALE=full, otherwise some of it. Prints which images ran; exit code 1 when a test fails,
or when the two kinds do not collect the same tests.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from deploy.local.paths import PROJECT

SAME = ("tests/integration", "tests/contract", "tests/e2e")
"""What runs against both kinds of servers."""

SMALL = (
    "tests/integration/test_privileges_nats.py",
    "tests/integration/test_privileges_postgres.py",
    "tests/contract/test_smsmobile_golden.py",
    "tests/e2e/test_restart.py",
)
FULL = os.environ.get("SMSFLEET_TEST_SCALE") == "full"
PYTEST = (sys.executable, "-m", "pytest")
CONTAINERS = {"SMSFLEET_TEST_SERVERS": "containers"}


def main() -> int:
    """Runs it and returns the exit code."""
    embedded, containers = collected({"SMSFLEET_TEST_SERVERS": "embedded"}), collected(CONTAINERS)
    print(f"collected: {len(embedded)} with embedded servers, {len(containers)} with containers", flush=True)
    well = embedded == containers
    for name in sorted(embedded ^ containers):
        print(f"only {'with embedded servers' if name in embedded else 'with containers'}: {name}")
    same, compose = (SAME, "tests/containers") if FULL else (SMALL, "tests/containers/test_compose.py")
    # A file stays on one worker: its tests share the system that they started.
    well &= _passes((*PYTEST, "-n", "2", "--dist", "loadfile", *same), CONTAINERS)
    well &= _passes((*PYTEST, compose), {})
    print(*images(), sep="\n", flush=True)
    return 0 if well else 1


def collected(environment: Mapping[str, str]) -> set[str]:
    """The names of the tests that run against both kinds, as this kind collects them."""
    words = (*PYTEST, "--collect-only", "--quiet", *SAME)
    told = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-2000:]
    return {line for line in told.stdout.splitlines() if "::" in line}


def images() -> list[str]:
    """A line for each image that docker-compose.yml names: its id, and whether a registry gave it."""
    services = yaml.safe_load(Path(PROJECT / "docker-compose.yml").read_text())["services"]
    theirs = {each["image"] for each in services.values() if "$" not in each["image"]}
    return [_told(name) for name in sorted({*theirs, "python:3.13-slim"})]


def _told(image: str) -> str:
    asked = ("docker", "image", "inspect", "--format", "{{.Id}} {{len .RepoDigests}}", image)
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        return f"image {image}: not here"
    digest, known = done.stdout.split()
    return f"image {image}: {digest[:19]}" + (", stand-in (from no registry)" if known == "0" else "")


def _passes(words: tuple[str, ...], environment: Mapping[str, str]) -> bool:
    return subprocess.run(words, env={**os.environ, **environment}, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
