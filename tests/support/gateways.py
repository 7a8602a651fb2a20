"""A further gateway beside the one that `up` runs: the same installation, a port and settings of its own."""

import contextlib
from collections.abc import AsyncIterator

from deploy.local.ports import free_port
from tests.support.replica import Replica
from tests.support.system import System


class Gateway(Replica):
    """One `python -m services.gateway` of a test's own."""

    def __init__(self, system: System, **settings: str) -> None:
        """`settings` are SMSFLEET_* variables that differ from those of the system's own gateway."""
        super().__init__(system, "gateway")
        port = free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        self._environment |= {"SMSFLEET_PORT": str(port), "SMSFLEET_PUBLIC_URL": self.base_url, **settings}


@contextlib.asynccontextmanager
async def further_gateway(system: System, **settings: str) -> AsyncIterator[Gateway]:
    """A running one for the context's time."""
    made = Gateway(system, **settings)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
