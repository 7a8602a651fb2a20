"""Two SIMs that perform sends into a file instead of the air, so that a counter can check each of them."""

import asyncio
import hashlib
import json
import logging
import os
import random
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.drivers.base import Arrival, Failed, FailureReason, Outgoing, Receipt, Sent, SimCard
from agent.ids import message_of
from agent.incoming import Spool

SLOTS = (1, 2)

_REASONS: tuple[FailureReason, ...] = ("no_service", "carrier_rejected", "generic")
_SPOOL_POLL_S = 0.1


log = logging.getLogger("agent.radio")


class HalfWritten(Exception):
    """A line of the radio's log was cut short."""


class SimulatedRadio:
    """A radio that takes `delay_ms` for each send and `delivery_ms` more until the receipt.

    A send is performed once its line stands in the log, at the beginning of the delay: so an agent that is
    killed while the radio is busy and then sends again is seen. Nothing reads the log back or dedupes it.
    """

    def __init__(
        self,
        *,
        name: str,
        log_file: Path,
        spool: Spool,
        delay_ms: int,
        delivery_ms: int,
        failure_rate: float,
        rng: random.Random,
        now_ms: Callable[[], int],
        channels: Sequence[str] = ("sms",),
    ) -> None:
        """`failure_rate`: the share of sends, 0 to 1, that fail unperformed. `now_ms`: Unix time."""
        self._log_file = log_file
        self._spool = spool
        self._delay_s = delay_ms / 1000
        self._delivery_s = delivery_ms / 1000
        self._failure_rate = failure_rate
        self._rng = rng
        self._now_ms = now_ms
        self._channels = tuple(channels)
        base = zlib.crc32(name.encode()) % 1_000_000
        self._sims = [SimCard(slot, f"+1555{base:06d}{slot}", "Simulated") for slot in SLOTS]
        self._busy = {slot: asyncio.Lock() for slot in SLOTS}
        self._receipts: asyncio.Queue[Receipt] = asyncio.Queue()
        self._receipts_due = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def sims(self) -> Sequence[SimCard]:
        """Two."""
        return self._sims

    @property
    def channels(self) -> Sequence[str]:
        """What it was told to serve; every send is a line in the log, whatever the channel."""
        return self._channels

    @property
    def send_deadline_s(self) -> float:
        """Far above the delay."""
        return 60 + 2 * self._delay_s

    async def send(self, sms: Outgoing) -> Sent | Failed:
        """Performs one send, or fails by chance without performing it."""
        async with self._busy[sms.sim]:
            if self._rng.random() < self._failure_rate:
                await asyncio.sleep(self._delay_s)
                return Failed(self._now_ms(), self._rng.choice(_REASONS))
            try:
                self._perform(sms)
            except OSError as error:
                log.error("the radio's log cannot be written: %s", error)
                return Failed(self._now_ms(), "generic")
            await asyncio.sleep(self._delay_s)
        self._receipts_due += 1
        self._quiet.clear()
        asyncio.get_running_loop().call_later(self._delivery_s, self._deliver, sms.attempt)
        return Sent(self._now_ms())

    async def receipt(self) -> Receipt:
        """The next receipt in the order of the deliveries."""
        receipt = await self._receipts.get()
        self._receipts_due -= 1
        if not self._receipts_due:
            self._quiet.set()
        return receipt

    async def quiet(self) -> None:
        """Waits until the receipt of each send was fetched."""
        await self._quiet.wait()

    async def arrivals(self) -> list[Arrival]:
        """Texts that lie in the spool."""
        while True:
            if arrivals := self._spool.waiting():
                return arrivals
            await asyncio.sleep(_SPOOL_POLL_S)

    async def forget(self, ids: list[str]) -> None:
        """Removes them from the spool."""
        self._spool.remove(ids)

    def _deliver(self, attempt: str) -> None:
        self._receipts.put_nowait(Receipt(attempt, self._now_ms()))

    def _perform(self, sms: Outgoing) -> None:
        line = json.dumps(
            {
                "attempt_id": sms.attempt,
                "message_id": message_of(sms.attempt),
                "number": sms.number,
                "channel": sms.channel,
                "sim": sms.sim,
                "text_sha256": hashlib.sha256(sms.text.encode()).hexdigest(),
                "time": self._now_ms(),
            }
        )
        data = line.encode() + b"\n"
        descriptor = os.open(self._log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, data) != len(data):
                raise HalfWritten
        finally:
            os.close(descriptor)
