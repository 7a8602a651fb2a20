"""/log/sent/sms/ and /getsms/: what was sent and what came in (contract 2.3 and 2.4)."""

from collections.abc import Callable
from datetime import UTC, datetime

from services.gateway.dialects.smsmobile import answers
from services.gateway.dialects.smsmobile.endpoint import Answer
from services.gateway.dialects.smsmobile.fields import instant, page
from services.gateway.dialects.smsmobile.parameters import Parameters
from services.gateway.store import Store
from services.gateway.tracking import Tracker
from shared.bus.rpc import RpcClient
from shared.contracts.registry import DISPATCHER_MARK_READ
from shared.contracts.rpc import MarkRead, Verdict
from shared.model.ids import accepted_at_ms, parse_message_id
from shared.model.storable import is_storable


class SentLog:
    """Lists sent messages, newest first, or one by `guid_message`."""

    def __init__(self, store: Store, tracker: Tracker, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._store = store
        self._tracker = tracker
        self._clock = clock

    async def work(self, caller: Verdict, parameters: Parameters) -> Answer:
        """Raises Invalid and Unavailable."""
        assert caller.account is not None
        limit, offset = page(parameters)
        now = datetime.fromtimestamp(self._clock(), UTC)
        guid = parameters.get("guid_message")
        if guid is not None:
            return Answer(answers.log(await self._one(caller.account, guid, now)))
        rows = await self._store.sent(caller.account, limit=limit, offset=offset)
        return Answer(answers.log([answers.log_row(row, now) for row in rows]))

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

    async def work(self, caller: Verdict, parameters: Parameters) -> Answer:
        """Raises Invalid and Unavailable."""
        account = caller.account
        assert account is not None
        limit, offset = page(parameters)
        device = parameters.get("sIdentifiantPhone")
        if device is not None and not is_storable(device):
            return Answer(answers.inbox([]))
        unread_only = parameters.get("onlyunread") == "yes"
        rows = await self._store.inbox(
            account,
            unread_only=unread_only,
            device=device,
            after=instant(parameters, "after_timestamp_unix", "after_unix", "after"),
            limit=limit,
            offset=offset,
        )
        body = answers.inbox(rows)
        if not unread_only or not rows:
            return Answer(body)
        shown = MarkRead(account=account, inbox=[row.id for row in rows])
        return Answer(body, after=lambda: self._rpc.ask(DISPATCHER_MARK_READ, shown))
