"""What the dispatcher does with commands and reports: whole batches to the store, then wakes."""

from collections.abc import Callable

import msgspec

from services.dispatcher.fleet import Fleet
from services.dispatcher.hints import Hinter
from services.dispatcher.metrics import BURIED, ENDED, RECEIVED, STORED
from services.dispatcher.pace import Paces
from services.dispatcher.states import fold
from services.dispatcher.store.dead import DeadLetterBox
from services.dispatcher.store.inbox import Inbox
from services.dispatcher.store.messages import Messages
from services.dispatcher.store.reports import Reports
from services.dispatcher.wakes import Wakes
from shared.bus.consumer import BatchConsumer
from shared.contracts.commands import SubmitSms
from shared.contracts.registry import (
    DISPATCHER_ATTEMPTS,
    DISPATCHER_BULK,
    DISPATCHER_RECEIVED,
    DISPATCHER_SINGLE,
    Durable,
)
from shared.contracts.reports import AttemptReported, TextReceived
from shared.db.pool import is_item_error
from shared.runtime.signals import Bell


class Consumers:
    """The handlers behind the dispatcher's durables."""

    def __init__(
        self,
        messages: Messages,
        reports: Reports,
        inbox: Inbox,
        dead: DeadLetterBox,
        fleet: Fleet,
        paces: Paces,
        wakes: Wakes,
        outbox_filled: Bell,
        hinter: Hinter,
        chance: Callable[[], float],
    ) -> None:
        """Rings `outbox_filled` when there are events to relay; `chance` gives random numbers from 0 to 1."""
        self._chance = chance
        self._messages = messages
        self._reports = reports
        self._inbox = inbox
        self._dead = dead
        self._fleet = fleet
        self._paces = paces
        self._wakes = wakes
        self._outbox_filled = outbox_filled
        self._hinter = hinter

    def all(self) -> list[BatchConsumer[SubmitSms] | BatchConsumer[AttemptReported] | BatchConsumer[TextReceived]]:
        """One batch consumer for each durable of the dispatcher."""
        return [
            self._submits(DISPATCHER_SINGLE),
            self._submits(DISPATCHER_BULK),
            BatchConsumer(
                DISPATCHER_ATTEMPTS,
                AttemptReported,
                store=self._fold,
                bury=self._bury_report(DISPATCHER_ATTEMPTS),
                is_item_error=is_item_error,
            ),
            BatchConsumer(
                DISPATCHER_RECEIVED,
                TextReceived,
                store=self._receive,
                bury=self._bury_report(DISPATCHER_RECEIVED),
                is_item_error=is_item_error,
            ),
        ]

    def _submits(self, durable: Durable) -> BatchConsumer[SubmitSms]:
        async def bury(item: SubmitSms | bytes, reason: str) -> None:
            BURIED.inc()
            if isinstance(item, SubmitSms):
                await self._dead.add(durable.subject, item.account, reason, msgspec.msgpack.encode(item))
                await self._reject(item, reason)
            else:
                await self._dead.add(durable.subject, None, reason, item)

        return BatchConsumer(durable, SubmitSms, store=self._submit, bury=bury, is_item_error=is_item_error)

    def _bury_report(self, durable: Durable):  # type: ignore[no-untyped-def]
        async def bury(item: msgspec.Struct | bytes, reason: str) -> None:
            raw = item if isinstance(item, bytes) else msgspec.msgpack.encode(item)
            BURIED.inc()
            await self._dead.add(durable.subject, getattr(item, "account", None), reason, raw)

        return bury

    async def _submit(self, commands: list[SubmitSms]) -> None:
        ready = await self._messages.submit(commands, self._fleet.prefer)
        STORED.inc(sum(len(command.recipients) for command in commands))
        self._outbox_filled.ring()
        self._hinter.note("messages", {command.account for command in commands})
        await self._wakes.wake_for(ready)

    async def _reject(self, command: SubmitSms, reason: str) -> None:
        try:
            await self._messages.reject(command, reason)
        except Exception as error:
            # An id outside every partition cannot even be logged; its dead letter is all there is.
            if not is_item_error(error):
                raise
        self._outbox_filled.ring()

    async def _fold(self, reports: list[AttemptReported]) -> None:
        paces = await self._reports.fold(fold(reports), self._chance())
        self._paces.note(paces)
        ENDED.labels("sent").inc(sum(pace.succeeded for pace in paces))
        ENDED.labels("failed").inc(sum(pace.failed for pace in paces))
        self._outbox_filled.ring()
        self._hinter.note("messages", {report.account for report in reports})

    async def _receive(self, texts: list[TextReceived]) -> None:
        RECEIVED.inc(await self._inbox.add(texts))
        self._outbox_filled.ring()
        self._hinter.note("inbox", {text.account for text in texts})
