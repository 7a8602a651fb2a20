"""Phones that a test starts, kills and starts again itself: `python -m agent`, below an installation's phones/."""

import asyncio
import json
import secrets
import signal
import subprocess
import sys

from agent.journal import Journal
from deploy.local.paths import PROJECT
from tests.support.system import System
from tests.support.waiting import until

SIMS = 2
"""SIMs of a simulated phone."""

STOP_S = 15.0


class Agent:
    """One simulated phone with a radio of its own. Its folder stays when it dies."""

    def __init__(self, system: System, name: str, url: str, delay_ms: int = 40) -> None:
        """Knows a URL and the enrolment key of the first account; `start()` starts it."""
        self.name = name
        self.folder = system.home / "phones" / name
        self._log = system.home / "logs" / f"{name}.log"
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "SMSFLEET_PHONE_URL": url,
            "SMSFLEET_PHONE_ENROLMENT_KEY": system.credentials["enrolment_key"],
            "SMSFLEET_PHONE_HOME": str(self.folder),
            "SMSFLEET_PHONE_NAME": name,
            "SMSFLEET_PHONE_DELAY_MS": str(delay_ms),
            "SMSFLEET_PHONE_DELIVERY_MS": "20",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.device = ""

    async def start(self) -> None:
        """Starts it and waits until it is connected."""
        self._begin()
        await until(self._connected, f"{self.name} is connected", 30)

    def _begin(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent"],
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait, STOP_S)

    async def stop(self) -> None:
        """Stops it in order, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                await self.kill()

    def lose_journal(self) -> None:
        """Gives the phone, which does not run, a new journal; it is still the same device, for it keeps its token."""
        path = self.folder / "journal.db"
        old = Journal(path, "")
        token = old.token
        old.close()
        assert token is not None
        lost = self.folder / "lost"
        lost.mkdir()
        for file in self.folder.glob("journal.db*"):
            file.rename(lost / file.name)
        new = Journal(path, secrets.token_hex(16))
        new.apply([lambda journal: journal.remember_token(token)], durable=True)
        new.close()

    async def _connected(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            told = json.loads((self.folder / "connected").read_text())
        except FileNotFoundError:
            return False
        self.device = told["device"]
        return bool(told["pid"] == self._process.pid)
