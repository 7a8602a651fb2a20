"""/resend/ and /cancel/: what a caller does to one message that it sent (contract 2.2; /cancel/ is our extension)."""

from collections.abc import Callable
from typing import Final

from services.gateway.dialects.smsmobile import answers
from services.gateway.dialects.smsmobile.endpoint import Answer, Call
from services.gateway.dialects.smsmobile.fields import flag, guid
from services.gateway.store import SentRow
from services.gateway.tracking import Tracker
from shared.bus.rpc import RpcClient
from shared.contracts.registry import DISPATCHER_CANCEL, DISPATCHER_RESEND
from shared.contracts.rpc.messages import CancelMessage, ResendMessage
from shared.errors import NotFound
from shared.model.ids import parse_message_id

TIMEOUT_S: Final = 3.0
"""How long the dispatcher may take: with the 5 s for a row that is not there yet, callers' 10 s are kept."""


class Resend:
    """Gives a message that came to a bad end a fresh round of tries."""

    def __init__(self, tracker: Tracker, rpc: RpcClient, clock: Callable[[], float]) -> None:
        """The dispatcher decides; `rpc` asks it. `clock` gives Unix seconds."""
        self._tracker = tracker
        self._rpc = rpc
        self._clock = clock

    async def work(self, call: Call) -> Answer:
        """Raises Invalid, NotFound, Conflict (`not_in_error`) and Unavailable."""
        force = flag(call.parameters, "force") is True
        row = await _message(call, self._tracker)
        question = ResendMessage(account=call.account, message=row.id, force=force)
        await self._rpc.ask(DISPATCHER_RESEND, question, TIMEOUT_S)
        return Answer(answers.resent(row, self._clock(), call.caller.time_zone))


class Cancel:
    """Takes back a message that no phone has taken, or asks an app's phone to leave it."""

    def __init__(self, tracker: Tracker, rpc: RpcClient) -> None:
        """The dispatcher decides; `rpc` asks it."""
        self._tracker = tracker
        self._rpc = rpc

    async def work(self, call: Call) -> Answer:
        """Raises Invalid, NotFound, Conflict (`too_late`) and Unavailable."""
        row = await _message(call, self._tracker)
        question = CancelMessage(message=row.id, account=call.account)
        answer = await self._rpc.ask(DISPATCHER_CANCEL, question, TIMEOUT_S)
        return Answer(answers.canceled(row.id, wished=answer.wished))


async def _message(call: Call, tracker: Tracker) -> SentRow:
    """The message that the call names, waited for if it is not stored yet. Raises Invalid, NotFound, Unavailable."""
    message = parse_message_id(guid(call.parameters, "guid", "guid_message"))
    row = None if message is None else await tracker.stored(call.account, message)
    if row is None:
        raise NotFound("There is no such message.")
    return row
