"""The app's own queue: what was pulled waits here, goes to the radio in turn, and its states become reports."""

import asyncio
import base64
import binascii
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agent.smsgate import facts, wire
from agent.smsgate.clock import Clock
from agent.smsgate.facts import HookEvent, State
from agent.smsgate.memory import Memory
from agent.smsgate.preferences import Messages
from agent.smsgate.radio import OK, Handed, Radio, Stage, Threw
from agent.smsgate.rows import Kind, New, Waiting
from agent.smsgate.store import Store
from agent.smsgate.wire import Given

_EVENTS: Final[dict[State, HookEvent]] = {
    "Sent": "sms:sent",
    "Delivered": "sms:delivered",
    "Failed": "sms:failed",
    "Cancelled": "sms:cancelled",
}

log: Final = logging.getLogger("agent.smsgate.sending")


class Sender:
    """The outgoing texts of one phone."""

    def __init__(
        self,
        *,
        memory: Memory,
        radio: Radio,
        clock: Clock,
        rng: random.Random,
        preferences: Callable[[], Messages],
        on_report: Callable[[int], None],
        emit: Callable[[HookEvent, dict[str, Any]], Awaitable[None]],
    ) -> None:
        """`on_report`: a report is kept, under this job number. `emit`: something happened that webhooks tell."""
        self._memory = memory
        self._radio = radio
        self._clock = clock
        self._rng = rng
        self._preferences = preferences
        self._on_report = on_report
        self._emit = emit
        self._turns = itertools.cycle(sim.slot for sim in radio.sims)
        self._bell = asyncio.Event()

    async def take_up(self, item: Given) -> None:
        """One pulled item (1.4): a known id is only reported again, whatever else the item says."""
        state = item.known_state
        if state not in (None, "Pending", "Cancelling"):
            return
        canceling = state == "Cancelling"
        new = _new(item, self._clock.now_ms(), "Cancelled" if canceling else "Pending")
        if new is None:
            log.warning("message %s has no content and is skipped", item.id)
            return
        if canceling and await self._move(item.id, None, "Cancelled"):
            return
        now_ms = self._clock.now_ms()

        def keep_or_report(store: Store) -> int | None:
            is_new = store.keep(new, now_ms)
            return None if is_new and not canceling else store.add_job("report", new.id, b"", now_ms)

        job = await self._memory.ask(keep_or_report)
        if job is not None:
            self._on_report(job)
        self._bell.set()

    async def cancel(self, id_: str) -> None:
        """Cancels the message if it is still pending."""
        await self._move(id_, None, "Cancelled")

    async def on_result(self, handed: Handed, stage: Stage, code: str) -> None:
        """Android says what became of a text."""
        if code != OK:
            prefix = facts.SEND_RESULT if stage == "sent" else facts.DELIVERY_RESULT
            await self._move(handed.message, handed.number, "Failed", f"{prefix}{code}")
        else:
            await self._move(handed.message, handed.number, "Sent" if stage == "sent" else "Delivered")

    async def run(self) -> None:
        """Sends one message after the other, until cancelled."""
        while True:
            self._bell.clear()
            newest_first = self._preferences().processing_order == "LIFO"
            now_ms = self._clock.now_ms()
            waiting = await self._memory.ask(
                lambda store: store.next_pending(newest_first=newest_first, now_ms=now_ms)  # noqa: B023
            )
            if waiting is None:
                await self._rest()
            elif (wait_s := await self._limited_s()) > 0:
                await self._clock.sleep(wait_s)
            else:
                await self._send(waiting)
                await self._pause()

    async def _send(self, waiting: Waiting) -> None:
        if waiting.valid_until_ms is not None and self._clock.now_ms() > waiting.valid_until_ms:
            await self._move(waiting.id, None, "Failed", facts.TTL_EXPIRED)
        elif waiting.kind == "encrypted":
            await self._move(waiting.id, None, "Failed", facts.UNDECIPHERED)
        elif (sim := self._sim(waiting)) is None:
            await self._move(waiting.id, None, "Failed", facts.NO_SIMS)
        else:
            for number in waiting.numbers:
                await self._hand_over(waiting, number, sim)

    async def _hand_over(self, waiting: Waiting, number: str, sim: int) -> None:
        dialled = "".join(letter for letter in number if letter in facts.KEPT_IN_NUMBERS)
        try:
            self._radio.hand_over(Handed(waiting.id, sim, number, dialled, waiting.content, waiting.wants_delivery))
        except Threw as error:
            await self._move(waiting.id, number, "Failed", f"{facts.SEND_THREW}{error}")
        else:
            # Written down after the fact, so a death right here sends the text twice. That is the app's doing.
            await self._move(waiting.id, number, "Processed")

    async def _move(self, id_: str, number: str | None, new: State, error: str | None = None) -> bool:
        now_ms = self._clock.now_ms()
        job = await self._memory.ask(lambda store: store.move(id_, number, new, error, now_ms))
        if job is None:
            return False
        self._on_report(job)
        if (event := _EVENTS.get(new)) is not None:
            moment = wire.date(now_ms, self._clock.utc_offset_min)
            await self._emit(event, _told(event, id_, number, error, moment))
        return True

    def _sim(self, waiting: Waiting) -> int | None:
        slots = [sim.slot for sim in self._radio.sims]
        if waiting.sim is not None or not slots:
            return waiting.sim if waiting.sim in slots else None
        match self._preferences().sim_selection_mode:
            case "RoundRobin":
                return next(self._turns)
            case "Random":
                return self._rng.choice(slots)
            case "OSDefault":
                return slots[0]

    async def _limited_s(self) -> float:
        """Seconds until the limit of texts lets one more go; 0 for now."""
        wishes = self._preferences()
        if wishes.limit_period == "Disabled" or not wishes.limit_value:
            return 0.0
        period_ms = facts.LIMIT_PERIOD_S[wishes.limit_period] * 1000
        since_ms, latest = self._clock.now_ms() - period_ms, wishes.limit_value
        oldest = await self._memory.ask(lambda store: store.handed_over_ms(since_ms, latest))
        return 0.0 if oldest is None else (oldest - since_ms) / 1000

    async def _pause(self) -> None:
        wishes = self._preferences()
        shortest = wishes.send_interval_min or 0
        longest = max(shortest, wishes.send_interval_max or 0)
        if longest:
            await self._clock.sleep(self._rng.uniform(shortest, longest))

    async def _rest(self) -> None:
        """Until something new was pulled, or what is scheduled is due."""
        due_ms = await self._memory.ask(Store.next_due_ms)
        ends: list[asyncio.Task[Any]] = [asyncio.ensure_future(self._bell.wait())]
        if due_ms is not None:
            ends.append(asyncio.ensure_future(self._clock.sleep(max(0, due_ms - self._clock.now_ms()) / 1000)))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()


def _new(item: Given, now_ms: int, state: State) -> New | None:
    content: bytes | None = None
    kind: Kind = "text"
    if item.data_message is not None:
        kind = "data"
        try:
            content = base64.b64decode(item.data_message.data, validate=True)
        except binascii.Error:
            return None
    elif item.text is not None:
        content = item.text.encode()
    if content is None:
        return None
    return New(
        id=item.id,
        numbers=item.phone_numbers,
        content=content,
        kind="encrypted" if item.is_encrypted else kind,
        sim=item.sim_number,
        wants_delivery=item.with_delivery_report is not False,
        valid_until_ms=wire.unix_ms(item.valid_until),
        due_ms=wire.unix_ms(item.schedule_at) or now_ms,
        priority=item.priority or 0,
        state=state,
    )


def _told(event: HookEvent, id_: str, number: str | None, error: str | None, moment: str) -> dict[str, Any]:
    payload: dict[str, Any] = {"messageId": id_, "phoneNumber": number, "recipient": number}
    match event:
        case "sms:sent":
            return {**payload, "partsCount": 1, "sentAt": moment}
        case "sms:delivered":
            return {**payload, "deliveredAt": moment}
        case "sms:failed":
            return {**payload, "failedAt": moment, "reason": error}
        case _:
            return {**payload, "cancelledAt": moment}
