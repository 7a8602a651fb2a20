"""Follows how far auth's state has grown: it tells whether what auth once answered still stands."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import structlog

from shared.bus.rpc import RpcClient
from shared.contracts.registry import Request, Rpc
from shared.contracts.rpc.auth import AuthChanged, Trust, Verdict
from shared.errors import SmsFleetError, Unavailable

log = structlog.get_logger()

GAP_S: Final = 3.0
"""Hearing nothing of auth for this many seconds (it speaks every 0.5 s) puts every answer in doubt."""

RPC_TIMEOUT_S: Final = 2.0
RETRY_S: Final = 0.1
"""Pause before a replica that is behind is asked again, in seconds."""

LOWER_EPOCH_S: Final = 10.0
"""When only lower epochs were heard for this long, the database was restored: the lower one counts, in seconds."""


Answer = TypeVar("Answer", Trust, Verdict)
"""An answer that says how far its replica has followed."""


class Epochs:
    """The newest epoch heard of, and since when nothing was missed."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds that only grow."""
        self._monotonic = monotonic
        self._newest = 0
        self._newest_at = float("-inf")
        self._heard_at = monotonic()
        self._valid_since = float("-inf")
        self.moved = asyncio.Event()
        """Set whenever older answers are in doubt; whoever waits for it clears it."""

    def changed(self, data: bytes) -> None:
        """Takes in one AuthChanged broadcast."""
        try:
            epoch = _decode(data).epoch
        except msgspec.DecodeError:
            log.warning("not an auth.changed broadcast")
            return
        now = self._monotonic()
        if now - self._heard_at > GAP_S:
            self._doubt(now)
        self._heard_at = now
        if epoch >= self._newest:
            if epoch > self._newest:
                self.moved.set()
            self._newest, self._newest_at = epoch, now
        elif now - self._newest_at > LOWER_EPOCH_S:
            log.warning("auth's epoch went back", before=self._newest, now=epoch)
            self._newest, self._newest_at = epoch, now
            self._doubt(now)

    def reconnected(self) -> None:
        """Broadcasts may have been missed: every answer is in doubt."""
        self._doubt(self._monotonic())

    def silence_s(self) -> float:
        """How long ago auth was last heard, in seconds."""
        return self._monotonic() - self._heard_at

    def covers(self, epoch: int, asked_at: float, now: float) -> bool:
        """Whether an answer of this epoch, asked for at this time, still stands at `now`; all times monotonic."""
        return epoch >= self._newest and asked_at >= self._valid_since and now - max(self._heard_at, asked_at) < GAP_S

    async def ask(self, rpc: RpcClient, contract: Rpc[Request, Answer], request: Request) -> tuple[Answer, float]:
        """An answer that is not behind the newest epoch heard, and when it was asked for (monotonic).

        A replica that is behind is asked again, or another one, within 2 s. Raises Unavailable.
        """
        try:
            async with asyncio.timeout(RPC_TIMEOUT_S):
                while True:
                    asked_at = self._monotonic()
                    answer = await rpc.ask(contract, request, RPC_TIMEOUT_S)
                    if answer.epoch >= self._newest:
                        return answer, asked_at
                    await asyncio.sleep(RETRY_S)
        except (TimeoutError, SmsFleetError) as error:
            raise Unavailable("The auth service does not answer.") from error

    def _doubt(self, now: float) -> None:
        self._valid_since = now
        self.moved.set()


_decode = msgspec.msgpack.Decoder(AuthChanged).decode
