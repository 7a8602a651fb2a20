"""/log/sent/sms/ and /getsms/: what was sent and what came in (contract 2.3 and 2.4)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from services.gateway.dialects.smsmobile import answers
from services.gateway.dialects.smsmobile.endpoint import Answer, Call
from services.gateway.dialects.smsmobile.fields import MAX_INSTANT, flag, instant, page, whole_number
from services.gateway.dialects.smsmobile.parameters import Parameters
from services.gateway.store import Store, Wanted
from services.gateway.tracking import Tracker
from shared.bus.rpc import RpcClient
from shared.contracts.registry import DISPATCHER_MARK_READ
from shared.contracts.rpc.messages import MarkRead
from shared.errors import Invalid
from shared.model.ids import accepted_at_ms, first_id_at, parse_message_id
from shared.model.numbers import compacted
from shared.model.storable import is_storable

_INSTANT: Final = re.compile(r"\s*[0-9]{1,12}\s*")


class SentLog:
    """Lists sent messages, newest first, or one by `guid_message`."""

    def __init__(self, store: Store, tracker: Tracker, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._store = store
        self._tracker = tracker
        self._clock = clock

    async def work(self, call: Call) -> Answer:
        """Raises Invalid and Unavailable."""
        parameters = call.parameters
        limit, offset = page(parameters)
        wanted = wanted_messages(parameters)
        now = datetime.fromtimestamp(self._clock(), UTC)
        guid = parameters.get("guid_message")
        if guid is not None:
            rows = await self._one(call.account, guid, now)
            return Answer(answers.log([row for row in rows if wanted is None or _has_error(row, wanted)]))
        if wanted is None:
            return Answer(answers.log([]))
        found = await self._store.sent(call.account, wanted, now, limit=limit, offset=offset)
        return Answer(answers.log([answers.log_row(row, now) for row in found]))

    async def _one(self, account: int, guid: str, now: datetime) -> list[answers.LogRow]:
        message = parse_message_id(guid.strip())
        if message is None:
            return []
        found = await self._tracker.find(account, message)
        if found is True:
            return [answers.pending_row(message, accepted_at_ms(message))]
        return [answers.log_row(found, now)] if found else []


class ReceivedTexts:
    """Lists received texts, newest first; those that an `onlyunread=yes` call returned become read."""

    def __init__(self, store: Store, rpc: RpcClient) -> None:
        """The read marks belong to the dispatcher; `rpc` asks it."""
        self._store = store
        self._rpc = rpc

    async def work(self, call: Call) -> Answer:
        """Raises Invalid and Unavailable."""
        parameters = call.parameters
        limit, offset = page(parameters)
        after = instant(parameters, "after_timestamp_unix", "after_unix", "after")
        unread_only = flag(parameters, "onlyunread") is True
        device = parameters.get("sIdentifiantPhone")
        if device is not None and not is_storable(device):
            return Answer(answers.inbox([]))
        rows = await self._store.inbox(
            call.account, unread_only=unread_only, device=device, after=after, limit=limit, offset=offset
        )
        body = answers.inbox(rows)
        if not unread_only or not rows:
            return Answer(body)
        shown = MarkRead(account=call.account, inbox=[row.id for row in rows])
        return Answer(body, after=lambda: self._rpc.ask(DISPATCHER_MARK_READ, shown))


def wanted_messages(parameters: Parameters) -> Wanted | None:
    """What the log's filters ask for; None where nothing can match. Raises Invalid."""
    wanted = Wanted(
        before=_before(parameters),
        api_errors=flag(parameters, "error_api") is True,
        mobile_errors=flag(parameters, "error_mobile") is True,
    )
    keyword = parameters.get("keyword")
    if keyword is None or not keyword.strip():
        return wanted
    return wanted._replace(text=keyword.strip(), number=compacted(keyword)) if is_storable(keyword) else None


def _has_error(row: answers.LogRow, wanted: Wanted) -> bool:
    """Whether the row has the errors that were asked for."""
    api = not wanted.api_errors or row.error_api != ""
    return api and (not wanted.mobile_errors or row.send_from_mobile_erreur != "")


def _before(parameters: Parameters) -> bytes | None:
    """`before` as the id that all wanted ones are smaller than: a message's own, or the first one of a moment."""
    text = parameters.get("before")
    if text is None:
        return None
    if (message := parse_message_id(text.strip())) is not None:
        return message
    if not _INSTANT.fullmatch(text) or not text.isascii():
        raise Invalid("before is a time in Unix seconds or a message's guid.", code="invalid_before")
    seconds = whole_number(parameters, "before", 0, MAX_INSTANT)
    assert seconds is not None
    return first_id_at(seconds * 1000)
