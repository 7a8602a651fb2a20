"""Simulated phones of both protocols as processes that reach their gateway through the edge, by TLS."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator

from deploy.local.paths import PROJECT
from tests.support.edge import Edge
from tests.support.pairs import READY_S, STOP_S, Pairs
from tests.support.waiting import until


class Handset:
    """A simulated phone of either protocol that reaches its gateway through the edge."""

    def __init__(self, pairs: Pairs, edge: Edge, name: str, protocol: str, delay_ms: int = 5) -> None:
        """Starts nothing."""
        self.name = name
        self.folder = pairs.home / "phones" / name
        self._log = pairs.home / "logs" / f"{name}.log"
        url = {"socket": f"wss://localhost:{edge.port}/phone/v1/socket", "smsgate": f"{edge.url}/mobile/v1"}
        self._environment = {
            "PATH": os.environ["PATH"],
            "SSL_CERT_FILE": str(edge.root),
            "SMSFLEET_PHONE_PROTOCOL": protocol,
            "SMSFLEET_PHONE_URL": url[protocol],
            "SMSFLEET_PHONE_ENROLMENT_KEY": pairs.credentials["enrolment_key"],
            "SMSFLEET_PHONE_HOME": str(self.folder),
            "SMSFLEET_PHONE_NAME": name,
            "SMSFLEET_PHONE_DELAY_MS": str(delay_ms),
            "SMSFLEET_PHONE_DELIVERY_MS": "20",
        }

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connected at the beginning of the context's time."""
        process = self._begun()

        async def connected() -> bool:
            assert process.poll() is None, self._log.read_text()[-2000:]
            return (self.folder / "connected").exists()

        try:
            await until(connected, f"{self.name} is connected", READY_S)
            yield
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait, STOP_S)

    def _begun(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agent"],
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
