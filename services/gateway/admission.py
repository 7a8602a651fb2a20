"""Turns a validated request into a command on disk: what this returns from will be sent, expire or fail visibly."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from services.gateway.devices import Devices
from shared.contracts.commands import Recipient, SubmitSms
from shared.contracts.envelope import encode_item
from shared.errors import Invalid
from shared.model.ids import MessageId, MessageIds
from shared.model.storable import MAX_SCHEDULE_AHEAD_S, MAX_TEXT_CHARS, is_storable
from shared.model.texts import segments

MAX_RECIPIENTS: Final = 1000
MAX_TTL_S: Final = 365 * 86_400


class Publishes(Protocol):
    """Puts an item on a stream."""

    async def publish(self, item: bytes) -> None:
        """Returns when it is on disk. Raises Unavailable."""


class Submission(NamedTuple):
    """A request to send one text, in our own words. Times are Unix seconds, None is the default.

    `recipients` were read by shared.model.numbers; `submitter` is the credential that asked.
    """

    account: int
    submitter: str
    recipients: list[str]
    text: str
    scheduled_at: int | None = None
    ttl_s: int | None = None
    device: str | None = None
    sim: int | None = None
    priority: int = 0
    origin: str | None = None


class Accepted(NamedTuple):
    """The ids in the order of the recipients, and when they were accepted (Unix seconds)."""

    ids: list[MessageId]
    at: float


class Admission:
    """The one door through which messages come in."""

    def __init__(
        self,
        commands: Publishes,
        ids: MessageIds,
        devices: Devices,
        clock: Callable[[], float],
        default_ttl_s: int,
    ) -> None:
        """`clock` gives Unix seconds; `default_ttl_s` is the validity of a message that names none."""
        self._commands = commands
        self._ids = ids
        self._devices = devices
        self._clock = clock
        self._default_ttl_s = default_ttl_s

    async def submit(self, wish: Submission) -> Accepted:
        """Accepts the request whole. Returns only after it is on disk.

        Raises Invalid (`missing_recipients`, `too_many_recipients`, `missing_message`, `message_too_long`,
        `invalid_message`, `invalid_schedule_timestamp`), NoDevice, or Unavailable when it may not be on disk.
        """
        now = self._clock()
        scheduled_at = _checked(wish, now)
        if not self._devices.knows(wish.account, wish.device):
            await self._devices.check(wish.account, wish.device)
        encoding, parts = segments(wish.text)
        ids = self._ids.new(wish.account, int(now * 1000), len(wish.recipients))
        command = SubmitSms(
            account=wish.account,
            submitter=wish.submitter,
            recipients=list(map(Recipient, ids, wish.recipients)),
            text=wish.text,
            encoding=encoding,
            parts=parts,
            accepted_at=now,
            scheduled_at=scheduled_at,
            valid_until=scheduled_at + (wish.ttl_s or self._default_ttl_s),
            device=wish.device,
            sim=wish.sim,
            priority=wish.priority,
            origin=wish.origin,
        )
        await self._commands.publish(encode_item(command))
        return Accepted(ids, now)


def _checked(wish: Submission, now: float) -> float:
    """When to send at the earliest, Unix seconds. Raises Invalid."""
    if not wish.recipients:
        raise Invalid("The recipient is missing.", code="missing_recipients")
    if len(wish.recipients) > MAX_RECIPIENTS:
        raise Invalid(f"There are more than {MAX_RECIPIENTS} recipients.", code="too_many_recipients")
    if not wish.text:
        raise Invalid("The message is missing.", code="missing_message")
    if len(wish.text) > MAX_TEXT_CHARS:
        raise Invalid(f"The message is longer than {MAX_TEXT_CHARS} characters.", code="message_too_long")
    if not is_storable(wish.text):
        raise Invalid("The message holds a character that cannot be sent.", code="invalid_message")
    if wish.scheduled_at is None or wish.scheduled_at <= now:
        return now
    if wish.scheduled_at > now + MAX_SCHEDULE_AHEAD_S:
        raise Invalid(
            "The schedule is more than 365 days ahead or not in Unix seconds.",
            code="invalid_schedule_timestamp",
        )
    return float(wish.scheduled_at)
