"""Runs the radios: journals before each send, sends what was taken, journals what became of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from agent.drivers.base import Failed, Outgoing, RadioDriver
from agent.ledger import Ledger
from agent.work import Desk
from shared.contracts.phone import Job

log = logging.getLogger("agent.radio")


class Lanes:
    """One task for each SIM, one for receipts and one for texts that come in; they outlive connections."""

    def __init__(
        self,
        *,
        radio: RadioDriver,
        desk: Desk,
        ledger: Ledger,
        now_ms: Callable[[], int],
        on_place: Callable[[], None],
        on_report: Callable[[], None],
    ) -> None:
        """`on_place`: a radio began with a job, so the next can be taken. `on_report`: a report is kept."""
        self._radio = radio
        self._desk = desk
        self._ledger = ledger
        self._now_ms = now_ms
        self._on_place = on_place
        self._on_report = on_report
        self._bells = {sim.slot: asyncio.Event() for sim in radio.sims}
        self._sent_at: dict[int, float] = {}

    def ring(self) -> None:
        """Jobs may have been taken, or the desk was closed."""
        for bell in self._bells.values():
            bell.set()

    async def run_sim(self, slot: int) -> None:
        """Sends what is taken for one SIM, one at a time, until the desk is closed."""
        bell = self._bells[slot]
        while not self._desk.closed:
            bell.clear()
            job = self._desk.begin(slot)
            if job is None:
                await bell.wait()
                continue
            self._on_place()
            try:
                if await self._rest(job, slot):
                    await self._do(job, slot)
            finally:
                self._desk.finish(slot)

    async def run_receipts(self) -> None:
        """Journals delivery receipts."""
        while True:
            receipt = await self._radio.receipt()
            self._reported(self._ledger.settle_receipt(receipt.attempt, receipt.at_ms))

    async def run_arrivals(self) -> None:
        """Journals texts that come in, and only then lets the radio forget them."""
        while True:
            arrivals = await self._radio.arrivals()
            await self._ledger.keep_texts(arrivals)
            await self._radio.forget([arrival.id for arrival in arrivals])
            self._on_report()

    async def _rest(self, job: Job, slot: int) -> bool:
        """Waits as long as the SIM shall rest after its last sending; False when the desk was closed meanwhile.

        What is left undone then was not begun, so the next life of this agent is given it again.
        """
        if slot not in self._sent_at:
            return True
        bell, rested_at = self._bells[slot], self._sent_at[slot] + job.wait_ms / 1000
        while asyncio.get_running_loop().time() < rested_at and not self._desk.closed:
            bell.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(rested_at):
                    await bell.wait()
        return not self._desk.closed

    async def _do(self, job: Job, slot: int) -> None:
        attempt = job.attempt
        if (defect := self._desk.unsendable(job)) is not None:
            self._reported(self._ledger.settle(attempt, slot, "failed", self._now_ms(), defect))
            return
        if self._now_ms() >= job.valid_until_ms:
            # It was taken, so the gateway would wait for word of it.
            self._reported(self._ledger.settle(attempt, slot, "canceled", self._now_ms(), "expired"))
            return
        if not await self._ledger.begin(attempt, slot, self._now_ms()):
            log.error("attempt %s is known to the journal and is not sent again", attempt)
            return
        try:
            async with asyncio.timeout(self._radio.send_deadline_s):
                result = await self._radio.send(
                    Outgoing(attempt, slot, job.number, job.text, job.channel, job.media_url)
                )
            self._sent_at[slot] = asyncio.get_running_loop().time()
        except Exception as error:
            reason = "radio_timeout" if isinstance(error, TimeoutError) else "radio_error"
            log.exception("nobody knows whether attempt %s was sent (%s)", attempt, reason)
            self._reported(self._ledger.settle(attempt, slot, "unknown", self._now_ms(), reason))
            return
        # Not waited for, so that the next `begin` shares this commit; the ledger keeps its order, so the desk
        # may let go of the attempt.
        if isinstance(result, Failed):
            self._reported(self._ledger.settle(attempt, slot, "failed", result.at_ms, result.reason))
        else:
            self._reported(self._ledger.settle(attempt, slot, "sent", result.at_ms))

    def _reported(self, kept: asyncio.Future[None]) -> None:
        kept.add_done_callback(lambda future: None if future.cancelled() else self._on_report())
