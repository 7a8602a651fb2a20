"""A gateway in a process of its own beside auth in the test's, so that its memory can be looked at (Linux)."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from deploy.local.paths import PROJECT
from deploy.local.processes import stop
from services.gateway.settings import GatewaySettings
from shared.db.pool import connected_pool
from shared.runtime.settings import PREFIX
from tests.support.auths import running_auth
from tests.support.http import ask
from tests.support.servers import Servers
from tests.support.smsgate_world import World, gateway_settings, ground
from tests.support.waiting import until

READY_S: Final = 60.0
STOP_S: Final = 20.0
PEAK: Final = "5"
"""Written into clear_refs it makes the present memory the highest so far (proc_pid_clear_refs(5))."""


class Memory:
    """What a process has in memory, in bytes."""

    def __init__(self, pid: int) -> None:
        """Of this process."""
        self._folder = Path(f"/proc/{pid}")

    @property
    def now(self) -> int:
        """What it has now."""
        return self._read("VmRSS")

    @property
    def most(self) -> int:
        """The most that it had since `forget`."""
        return self._read("VmHWM")

    def forget(self) -> None:
        """`most` begins anew."""
        (self._folder / "clear_refs").write_text(PEAK)

    def _read(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+) kB$", (self._folder / "status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


class OwnGateway:
    """A process of `python -m services.gateway`, which writes into `log`."""

    def __init__(self, settings: GatewaySettings, log: Path) -> None:
        """Starts it."""
        told = {name: value for name, value in msgspec.structs.asdict(settings).items() if value is not None}
        self._url, self._log = settings.base_url, log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.gateway"],
                cwd=PROJECT,
                env={"PATH": "/usr/bin:/bin"} | {PREFIX + name.upper(): str(value) for name, value in told.items()},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.memory = Memory(self._process.pid)

    async def is_ready(self) -> bool:
        """Whether it serves."""
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        with contextlib.suppress(OSError, TimeoutError):
            return (await ask(self._url, "GET", "/health/ready", within_s=2)).status == 200
        return False

    async def stop(self) -> None:
        """Stops it in order."""
        await stop(self._process, signal.SIGTERM, STOP_S)


@contextlib.asynccontextmanager
async def apart(servers: Servers, log: Path) -> AsyncIterator[tuple[World, Memory]]:
    """An installation of a gateway and auth, with an account, and the gateway's memory; it writes into `log`."""
    async with ground(servers) as (settings, client), connected_pool(settings, "test") as pool, running_auth(settings):
        here = World(gateway_settings(settings), client, pool)
        gateway = OwnGateway(here.settings, log)
        try:
            await until(gateway.is_ready, "the gateway is ready", READY_S)
            await here.begin()
            yield here, gateway.memory
        finally:
            await gateway.stop()
