"""Which phones this gateway holds: one connection a device, woken, renewed and closed here."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from services.gateway.phones.farewell import Farewell
from shared.bus.rpc import RpcClient
from shared.contracts.registry import DISPATCHER_CLOSE, DISPATCHER_RENEW
from shared.contracts.rpc.phones import CloseSession, RenewSessions, SessionRef
from shared.errors import SmsFleetError

log = structlog.get_logger()

RENEW_S: Final = 10.0
"""Sessions are renewed this often, in seconds; a lease ends 30 s after its session's last renewal."""

RENEW_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0
MAX_RENEWED: Final = 10_000
"""Sessions in one question, far below NATS' largest message."""

MAX_CLOSING: Final = 64
"""Sessions that are closed at once."""

MAX_DRAIN_PAUSE_S: Final = 0.05
SHUTDOWN_S: Final = 5.0
"""How long the last farewells may take when the gateway stops, in seconds."""

COME_BACK_REPLACED_S: Final = 30.0
"""Two phones with one token must not throw each other out all the time."""


class Connection(Protocol):
    """What the registry needs of a phone's connection."""

    account: int
    device: str
    session: int

    def wake(self) -> None:
        """There may be work for the phone."""

    def end(self, farewell: Farewell) -> None:
        """Says bye and closes."""


class Connections:
    """The phones of this gateway. `gateway` is this replica's id."""

    def __init__(self, rpc: RpcClient) -> None:
        """`rpc` asks the dispatcher, who owns the sessions."""
        self._rpc = rpc
        self._of: dict[str, Connection] = {}
        self._closing = asyncio.Semaphore(MAX_CLOSING)
        self._empty = asyncio.Event()
        self._empty.set()
        self._stopping = False
        self.gateway = secrets.token_hex(8)

    def __len__(self) -> int:
        """How many phones are connected."""
        return len(self._of)

    def check_open(self) -> None:
        """Raises Farewell while the gateway is stopping."""
        if self._stopping:
            raise Farewell("shutting_down", "This gateway is stopping.", 0.5)

    def add(self, connection: Connection) -> None:
        """Holds a phone's newest connection; an older one ends. Raises Farewell if there is a newer one already."""
        self.check_open()
        other = self._of.get(connection.device)
        if other is not None and other.session > connection.session:
            raise _replaced()
        self._of[connection.device] = connection
        self._empty.clear()
        if other is not None:
            other.end(_replaced())

    def forget(self, connection: Connection) -> None:
        """Lets go of a connection that has ended; its session ends by itself when nobody renews it."""
        if self._of.get(connection.device) is connection:
            del self._of[connection.device]
            if not self._of:
                self._empty.set()

    async def remove(self, connection: Connection, is_worth_it: Callable[[], bool] = lambda: True) -> None:
        """Lets go of a connection that has ended; the dispatcher gives its untaken jobs to others.

        `is_worth_it` is asked when its turn has come, for thousands may end at once.
        """
        self.forget(connection)
        question = CloseSession(account=connection.account, device=connection.device, session=connection.session)
        async with self._closing:
            if not is_worth_it():
                return
            try:
                await self._rpc.ask(DISPATCHER_CLOSE, question, CLOSE_TIMEOUT_S)
            except SmsFleetError as error:
                # The session ends by itself when nobody renews it.
                log.debug("session not closed", device=connection.device, error=str(error))

    async def renew(self) -> None:
        """Says for all phones at once that they are alive; ends those that have a newer session elsewhere.

        Raises Unavailable when the dispatcher does not answer.
        """
        sessions = [SessionRef(found.device, found.session) for found in self._of.values()]
        for start in range(0, len(sessions), MAX_RENEWED):
            some = RenewSessions(gateway=self.gateway, sessions=sessions[start : start + MAX_RENEWED])
            renewed = await self._rpc.ask(DISPATCHER_RENEW, some, RENEW_TIMEOUT_S)
            for stale in renewed.stale:
                connection = self._of.get(stale.device)
                if connection is not None and connection.session == stale.session:
                    connection.end(_replaced())

    async def drain(self, window_s: float) -> None:
        """Takes no more phones and says bye to all, spread over so many seconds; the last ones have 5 s to leave."""
        self._stopping = True
        connections = list(self._of.values())
        pause_s = min(window_s / len(connections), MAX_DRAIN_PAUSE_S) if connections else 0.0
        for connection in connections:
            connection.end(Farewell("shutting_down", "This gateway is stopping.", 0.5))
            await asyncio.sleep(pause_s)
        try:
            async with asyncio.timeout(SHUTDOWN_S):
                await self._empty.wait()
        except TimeoutError:
            log.warning("phones did not leave in time", phones=len(self._of))


def _replaced() -> Farewell:
    return Farewell("replaced", "The phone has a newer session.", COME_BACK_REPLACED_S)
