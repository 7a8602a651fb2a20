"""/deletesms/: takes messages out of the logs, sent and received ones alike (contract 2.5)."""

import re
from datetime import date, datetime, time
from typing import Final, NamedTuple

from services.gateway.dialects.smsmobile import answers
from services.gateway.dialects.smsmobile.endpoint import Answer, Call
from services.gateway.dialects.smsmobile.fields import MAX_INSTANT, day, zone
from services.gateway.dialects.smsmobile.parameters import Parameters
from services.gateway.tracking import Tracker
from shared.bus.rpc import RpcClient
from shared.contracts.registry import DISPATCHER_DELETE
from shared.contracts.rpc.messages import DeleteMessages
from shared.errors import Invalid
from shared.model.ids import MessageId, parse_message_id

TIMEOUT_S: Final = 3.0
RANGE_TIMEOUT_S: Final = 8.0
"""Days may hold many messages; what a call that ends with 503 has begun goes on, and a repetition does the rest."""

DAY_S: Final = 86_400

_EPOCH: Final = date(1970, 1, 1).toordinal()
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Span(NamedTuple):
    """From `start` up to, not including, `end`, in Unix seconds."""

    start: float
    end: float


class DeleteSms:
    """Hides what its caller selects."""

    def __init__(self, tracker: Tracker, rpc: RpcClient, *, all_without_selector: bool) -> None:
        """`all_without_selector`: a call that selects nothing means everything, rather than a mistake."""
        self._tracker = tracker
        self._rpc = rpc
        self._all_without_selector = all_without_selector

    async def work(self, call: Call) -> Answer:
        """Raises Invalid and Unavailable."""
        span = selected_days(call.parameters, call.caller.time_zone)
        guid = call.parameters.get("guid_message", "").strip()
        if guid and span:
            raise Invalid("Either guid_message or days, not both.", code="ambiguous_selector")
        if guid:
            return Answer(answers.deleted(await self._one(call.account, guid)))
        if span is None and not self._all_without_selector:
            raise Invalid("Nothing says which messages to delete.", code="missing_selector")
        return Answer(answers.deleted(await self._between(call.account, span or Span(0, MAX_INSTANT))))

    async def _one(self, account: int, guid: str) -> int:
        message = parse_message_id(guid)
        if message is not None:
            return await self._sent(account, message)
        if not _UUID.fullmatch(guid.lower()):
            return 0
        question = DeleteMessages(account=account, inbox_guid=guid.lower())
        return (await self._rpc.ask(DISPATCHER_DELETE, question, TIMEOUT_S)).count

    async def _sent(self, account: int, message: MessageId) -> int:
        if await self._tracker.stored(account, message) is None:
            return 0
        question = DeleteMessages(account=account, message=message)
        return (await self._rpc.ask(DISPATCHER_DELETE, question, TIMEOUT_S)).count

    async def _between(self, account: int, span: Span) -> int:
        if span.start >= span.end:
            return 0
        question = DeleteMessages(account=account, start=span.start, end=span.end)
        return (await self._rpc.ask(DISPATCHER_DELETE, question, RANGE_TIMEOUT_S)).count


def selected_days(parameters: Parameters, time_zone: str) -> Span | None:
    """`date_start` up to and including `date_end`, or that one day, in the account's time zone; None without.

    Raises Invalid (`missing_date_start`, `invalid_date_start`, `invalid_date_end`).
    """
    first, last = day(parameters, "date_start"), day(parameters, "date_end")
    if first is None:
        if last is not None:
            raise Invalid("date_end comes with date_start.", code="missing_date_start")
        return None
    if last is not None and last < first:
        raise Invalid("date_end is before date_start.", code="invalid_date_end")
    return Span(_midnight(first.toordinal(), time_zone), _midnight((last or first).toordinal() + 1, time_zone))


def _midnight(ordinal: int, time_zone: str) -> float:
    """When this day begins in the zone, Unix seconds, within what can be stored."""
    days = ordinal - _EPOCH
    if not 1 < days < MAX_INSTANT // DAY_S:
        return float(max(0, min(days * DAY_S, MAX_INSTANT)))
    return datetime.combine(date.fromordinal(ordinal), time(), zone(time_zone)).timestamp()
