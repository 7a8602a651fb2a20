"""Signs of life of app phones: gathered from their calls, told to the dispatcher every 10 s in one go."""

from collections.abc import Callable
from typing import Final

import structlog

from services.gateway.phones.smsgate.wire import Health
from shared.bus.rpc import RpcClient
from shared.contracts.registry import DISPATCHER_APP_SIGNS
from shared.contracts.rpc.apps import AppSign, NoteSigns
from shared.errors import SmsFleetError

log = structlog.get_logger()

TELL_S: Final = 10.0
"""How often `tell` is to be called, in seconds."""

TELL_TIMEOUT_S: Final = 5.0
MAX_PHONES: Final = 20_000
MAX_TOLD: Final = 500
"""Phones in one question, each with as many attempts as fit below NATS' largest message."""

MAX_ATTEMPTS: Final = 20
MAX_STATUS_CHARS: Final = 20


class Signs:
    """None of it is needed for a message to be sent once: what is lost is told by the next call."""

    def __init__(self, rpc: RpcClient, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._rpc = rpc
        self._clock = clock
        self._of: dict[str, AppSign] = {}

    def seen(self, account: int, device: str) -> AppSign | None:
        """The phone has called; what it says besides may be added. None while there are too many to keep."""
        now = self._clock()
        sign = self._of.get(device)
        if sign is None:
            if len(self._of) >= MAX_PHONES:
                return None
            sign = self._of[device] = AppSign(account=account, device=device, seen_at=now)
        sign.seen_at = now
        return sign

    def spoke_of(self, account: int, device: str, attempt: str, *, expired: bool) -> None:
        """The phone has this attempt; `expired`: it says that it was too old."""
        if sign := self.seen(account, device):
            for kept, wanted in ((sign.heard, True), (sign.expired, expired)):
                if wanted and len(kept) < MAX_ATTEMPTS:
                    kept.append(attempt)

    def hooked(self, account: int, device: str, clock_off_s: int | None) -> None:
        """Our receiver was called; `clock_off_s`: its clock less ours, None where the call was not well signed."""
        if sign := self.seen(account, device):
            if clock_off_s is None:
                sign.unsigned = True
            else:
                sign.signed, sign.hooked_at, sign.clock_off_s = True, sign.seen_at, clock_off_s

    def healthy(self, account: int, device: str, health: Health) -> None:
        """The phone tells its health (names of checks: the app's documentation of pings)."""
        if sign := self.seen(account, device):
            sign.health_at = sign.seen_at
            sign.status = health.status and health.status[:MAX_STATUS_CHARS]
            battery = health.observed("battery:level")
            sign.battery = battery if battery is None or battery <= 100 else None
            sign.failed_texts = health.observed("messages:failed")

    async def tell(self) -> None:
        """Tells what was gathered since the last time; what cannot be told is forgotten."""
        gathered, self._of = list(self._of.values()), {}
        for start in range(0, len(gathered), MAX_TOLD):
            try:
                question = NoteSigns(gathered[start : start + MAX_TOLD])
                await self._rpc.ask(DISPATCHER_APP_SIGNS, question, TELL_TIMEOUT_S)
            except SmsFleetError as error:
                log.info("signs of life not told", phones=len(gathered) - start, error=str(error))
                return
