"""The questions that the dispatcher answers: each subject of the registry bound to the one who knows."""

from collections.abc import Awaitable, Callable

import msgspec

from services.dispatcher.apps import AppAnswers
from services.dispatcher.campaigning import Campaigning
from services.dispatcher.devices import DeviceAnswers
from services.dispatcher.leasing import Leasing
from services.dispatcher.store.dead import DeadLetterBox, Letter
from services.dispatcher.store.inbox import Inbox
from services.dispatcher.store.queues import ReadyCount
from services.dispatcher.store.stories import Stories
from services.dispatcher.wakes import Wakes
from services.dispatcher.watchdog import Watchdog
from shared.bus.publisher import Publisher
from shared.bus.rpc import Responder
from shared.contracts import registry
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.messages import (
    CancelAnswer,
    CancelMessage,
    DeadLetter,
    DeadLetters,
    Deleted,
    DeleteMessages,
    ListDead,
    MarkRead,
    MarkSeen,
    MessageStory,
    ReplayDead,
    ResendMessage,
    ShowMessage,
)
from shared.contracts.rpc.retention import AskRetention, Retention
from shared.db.pool import is_surroundings_error
from shared.errors import Conflict, NotFound
from shared.model.ids import MessageId, attempt_id
from shared.runtime.signals import Bell


class Answers:
    """Answers about messages and dead letters."""

    def __init__(
        self,
        stories: Stories,
        inbox: Inbox,
        dead: DeadLetterBox,
        publishers: dict[str, Publisher],
        wakes: Wakes,
        outbox_filled: Bell,
    ) -> None:
        """`publishers` by subject: where a replayed dead letter goes back to."""
        self._stories = stories
        self._inbox = inbox
        self._dead = dead
        self._publishers = publishers
        self._wakes = wakes
        self._outbox_filled = outbox_filled

    async def show(self, ask: ShowMessage) -> MessageStory:
        """A message's story. Raises NotFound."""
        story = await self._stories.show(ask.message, ask.account)
        if story is None:
            raise NotFound
        return story

    async def cancel(self, ask: CancelMessage) -> CancelAnswer:
        """Cancels what no phone has taken, and wishes it of an app phone. Raises NotFound, Conflict (`too_late`)."""
        canceled = await self._stories.cancel(ask.message, ask.account)
        if canceled.outcome == "not_found":
            raise NotFound
        if canceled.outcome == "too_late":
            raise Conflict("A phone has it, or it is at rest already.", code="too_late")
        if canceled.holder is not None:
            await self._wakes.ask_back(canceled.holder, attempt_id(MessageId(ask.message), canceled.attempt))
            return CancelAnswer(wished=True)
        self._outbox_filled.ring()
        return CancelAnswer(wished=False)

    async def resend(self, ask: ResendMessage) -> Done:
        """A fresh round of tries. Raises NotFound, Conflict (`not_in_error`)."""
        outcome, queue = await self._stories.resend(ask.message, ask.account, force=ask.force)
        if outcome == "not_found":
            raise NotFound
        if outcome == "not_in_error":
            raise Conflict(
                "Only a message that failed, expired or was canceled can be sent again.", code="not_in_error"
            )
        if queue is not None:
            await self._wakes.wake_for([ReadyCount(queue, 1)])
        return Done()

    async def delete(self, ask: DeleteMessages) -> Deleted:
        """Hides messages; how many. Raises Invalid when nothing says which."""
        count = 0
        if ask.message is not None:
            count += await self._stories.delete_sent(ask.account, ask.message)
        if ask.inbox_guid is not None:
            count += await self._stories.delete_received(ask.account, ask.inbox_guid)
        if ask.start is not None and ask.end is not None:
            count += await self._stories.delete_between(ask.account, ask.start, ask.end)
        self._outbox_filled.ring()
        return Deleted(count)

    async def mark_read(self, ask: MarkRead) -> Done:
        """Marks texts as read."""
        await self._inbox.mark_read(ask.account, ask.inbox)
        return Done()

    async def mark_seen(self, ask: MarkSeen) -> Done:
        """Marks a conversation's texts as seen by a person."""
        await self._inbox.mark_seen(ask.account, ask.number, ask.until)
        return Done()

    async def dead_letters(self, ask: ListDead) -> DeadLetters:
        """Dead letters; with its content where one was asked for."""
        letters = await self._dead.list(ask.id, max(1, min(ask.limit, 1000)))
        return DeadLetters([_shown(letter, with_item=ask.id is not None) for letter in letters])

    async def replay(self, ask: ReplayDead) -> Done:
        """Puts an item back on its stream. Raises NotFound, Conflict (`replayed`), Unavailable."""
        letters = await self._dead.list(ask.id, 1)
        if not letters:
            raise NotFound
        if not await self._dead.mark_replayed(ask.id):
            raise Conflict("It was replayed before.", code="replayed")
        await self._publishers[letters[0].source].publish_envelope([letters[0].item])
        return Done()


def responders(
    leasing: Leasing,
    apps: AppAnswers,
    devices: DeviceAnswers,
    answers: Answers,
    watchdog: Watchdog,
    campaigning: Campaigning,
    retention: Callable[[AskRetention], Awaitable[Retention]],
) -> list[Responder]:  # type: ignore[type-arg]
    """One responder for each question of the registry that the dispatcher owns."""
    bound = [
        (registry.DISPATCHER_HELLO, leasing.open_session),
        (registry.DISPATCHER_LEASE, leasing.lease),
        (registry.DISPATCHER_TAKE, leasing.take),
        (registry.DISPATCHER_RENEW, leasing.renew),
        (registry.DISPATCHER_CLOSE, leasing.close_session),
        (registry.DISPATCHER_DEVICE_LIST, devices.list),
        (registry.DISPATCHER_DEVICE_NAMES, devices.names),
        (registry.DISPATCHER_DEVICE_CHANGE, devices.change),
        (registry.DISPATCHER_DEVICE_REMOVE, devices.remove),
        (registry.DISPATCHER_BUDGET_SET, devices.set_budget),
        (registry.DISPATCHER_MESSAGE_SHOW, answers.show),
        (registry.DISPATCHER_CANCEL, answers.cancel),
        (registry.DISPATCHER_RESEND, answers.resend),
        (registry.DISPATCHER_DELETE, answers.delete),
        (registry.DISPATCHER_MARK_READ, answers.mark_read),
        (registry.DISPATCHER_MARK_SEEN, answers.mark_seen),
        (registry.DISPATCHER_ATTENTION, watchdog.attention),
        (registry.DISPATCHER_RETENTION, retention),
        (registry.DISPATCHER_DEAD_LIST, answers.dead_letters),
        (registry.DISPATCHER_DEAD_REPLAY, answers.replay),
        *apps.bound(),
        *campaigning.bound(),
    ]
    return [Responder(contract, answer, is_surroundings_error) for contract, answer in bound]  # type: ignore[arg-type]


def _shown(letter: Letter, *, with_item: bool) -> DeadLetter:
    return DeadLetter(
        id=letter.id,
        source=letter.source,
        account=letter.account,
        reason=letter.reason,
        created_at=letter.created_at,
        replayed_at=letter.replayed_at,
        item=_as_text(letter.item) if with_item else None,
    )


def _as_text(item: bytes) -> str:
    try:
        return msgspec.json.encode(msgspec.msgpack.decode(item)).decode()
    except (msgspec.DecodeError, UnicodeError, TypeError):
        return item.hex()
