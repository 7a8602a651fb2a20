"""A whole local installation for tests, driven by the `smsfleet` command as a user drives it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local import placement
from deploy.local.errors import LocalError
from deploy.local.paths import PROJECT, Home
from deploy.local.ports import free_port

COMMAND_S = 120.0
"""How long one command may take on a busy machine."""


class Installation:
    """One SMSFLEET_HOME with a port of its own."""

    def __init__(self, home: Path, **settings: str) -> None:
        """`settings` are further variables, such as SMSFLEET_PHONE_COUNT; nothing is started."""
        self.home = home
        self.port = free_port()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SMSFLEET_")},
            "SMSFLEET_HOME": str(home),
            "SMSFLEET_PORT": str(self.port),
            **settings,
        }

    @property
    def command(self) -> list[str]:
        """The words before a subcommand."""
        return [sys.executable, "-m", "services"]

    def environment(self, **more: str) -> Mapping[str, str]:
        """What the command's processes are given."""
        return {**self._environment, **more}

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a subcommand to its end and return its exit code and output; `more` are further variables."""
        return subprocess.run(
            [*self.command, *words],
            cwd=PROJECT,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def up(self) -> dict[str, Any]:
        """Start detached and return what `up --json` told; fail with its words when it does not start."""
        done = self.run("up", "--detach", "--json")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.logs()}"
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def start(self, words: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start in the foreground, in a process group of its own as by a terminal; `words` replace the command."""
        return subprocess.Popen(
            words or [*self.command, "up"],
            cwd=PROJECT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    @property
    def state(self) -> dict[str, Any]:
        """The content of run.json."""
        told: dict[str, Any] = json.loads((self.home / "run.json").read_text())
        return told

    @property
    def credentials(self) -> dict[str, str]:
        """The content of credentials.json."""
        told: dict[str, str] = json.loads((self.home / "credentials.json").read_text())
        return told

    def service(self, name: str) -> dict[str, Any]:
        """What run.json tells of one service, server or phone."""
        groups = (self.state[group] for group in ("services", "servers", "phones"))
        found: dict[str, Any] = next(each for group in groups for each in group if each["name"] == name)
        return found

    def processes(self) -> dict[int, str]:
        """Every living process of this installation, recorded or not: number and command line (Linux)."""
        found: dict[int, str] = {}
        places = [str(self.home)]
        if (self.home / "instance").exists():
            places.append(str(placement.outside_area(Home(self.home))))
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                told = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            ours = (f"SMSFLEET_HOME={self.home}", f"SMSFLEET_PHONE_HOME={self.home}/")
            if any(place in words for place in places) or any(each.startswith(ours) for each in told):
                found[int(folder.name)] = words
        return found

    def logs(self) -> str:
        """The ends of all logs, for a failed test's message."""
        files = sorted((self.home / "logs").glob("*.log"))
        return "".join(f"\n--- {file.name}\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    def remove(self) -> None:
        """Stop it and delete what it keeps outside its home (as root)."""
        self.run("down")
        if (self.home / "instance").exists():
            try:
                shutil.rmtree(placement.outside_area(Home(self.home)), ignore_errors=True)
            except LocalError:
                return
