"""A second dispatcher beside an installation's own: started, killed, halted and continued by the test."""

import asyncio
import os
import signal
import subprocess
import sys

from deploy.local import credentials
from deploy.local.paths import PROJECT, Home
from deploy.local.ports import free_port
from shared.db.privileges import url_for
from tests.support.http import ask
from tests.support.system import System
from tests.support.waiting import until

READY_S = 60.0
STOP_S = 20.0


class Replica:
    """One more process of a service, with the installation's own connections."""

    def __init__(self, system: System, service: str) -> None:
        """Starts nothing."""
        connections = system.connections
        self._service = service
        self._log = system.home / "logs" / f"{service}-2.log"
        self._port = free_port()
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "SMSFLEET_HOME": str(system.home),
            "SMSFLEET_DATABASE_URL": url_for(
                connections["database_url"], service, credentials.password(Home(system.home), f"postgres-{service}")
            ),
            "SMSFLEET_NATS_URL": connections["nats_url"],
            "SMSFLEET_NATS_NKEY_FILE": connections["nats_nkey_files"][service],
            "SMSFLEET_REDIS_URL": connections["redis_url"],
            "SMSFLEET_SECRET_KEY": (system.home / "secret.key").read_text().strip(),
            "SMSFLEET_METRICS_PORT": str(self._port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Starts it and waits until it is ready."""
        self._begin()
        await until(self._ready, f"the second {self._service} is ready", READY_S)

    def _begin(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self._service}"],
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait, STOP_S)

    def halt(self) -> None:
        """SIGSTOP: it keeps its connections and does nothing more."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Stops it in order, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.go_on()
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                await self.kill()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            return (await ask(f"http://127.0.0.1:{self._port}", "GET", "/health/ready", within_s=2)).status == 200
        except (OSError, TimeoutError):
            return False
