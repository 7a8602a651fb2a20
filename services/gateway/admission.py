"""Turns a validated request into a command on disk: what this returns from will be sent, expire or fail visibly."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from services.gateway.devices import Devices
from services.gateway.errors import NoChannel, NoDevice
from services.gateway.metrics import ACCEPTED
from services.gateway.once import Entry, Once, content_of
from services.gateway.quotas import Quotas
from shared.contracts.commands import Recipient, SubmitSms
from shared.contracts.envelope import encode_item
from shared.errors import Invalid
from shared.model.ids import MessageId, MessageIds
from shared.model.storable import MAX_SCHEDULE_AHEAD_S, MAX_TEXT_CHARS, is_storable
from shared.model.texts import Segments, segments

MAX_RECIPIENTS: Final = 1000
MAX_SINGLE_RECIPIENTS: Final = 10
"""A request with more recipients waits behind others of its kind, where it delays nobody's single message."""

MAX_TTL_S: Final = 365 * 86_400

SMS: Final = "sms"
ONLY_SMS: Final = (SMS,)


class Publishes(Protocol):
    """Puts items on a stream."""

    async def publish(self, item: bytes) -> None:
        """Returns when it is on disk. Raises Unavailable."""

    async def publish_envelope(self, items: Sequence[bytes]) -> None:
        """Returns when all of them are on disk, which they are together or not at all. Raises Unavailable."""


class Submission(NamedTuple):
    """A request to send one text, in our own words. Times are Unix seconds, None is the default.

    `recipients` were read by shared.model.numbers; `submitter` is the credential that asked. Each channel gets a
    message of its own for each recipient. `key`: send once. `max_parts` is the account's limit of an SMS, and
    `daily_sends` that of its messages in a day of `time_zone`.
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
    channels: tuple[str, ...] = ONLY_SMS
    media_url: str | None = None
    key: str | None = None
    max_parts: int | None = None
    daily_sends: int | None = None
    time_zone: str = "UTC"


class Accepted(NamedTuple):
    """The ids by channel and in the order of the recipients, and when they were accepted (Unix seconds)."""

    ids: list[MessageId]
    at: float


class Admission:
    """The one door through which messages come in."""

    def __init__(
        self,
        single: Publishes,
        bulk: Publishes,
        ids: MessageIds,
        devices: Devices,
        once: Once,
        quotas: Quotas,
        clock: Callable[[], float],
        default_ttl_s: int,
    ) -> None:
        """`clock` gives Unix seconds; `default_ttl_s` is the validity of a message that names none."""
        self._single = single
        self._bulk = bulk
        self._ids = ids
        self._devices = devices
        self._once = once
        self._quotas = quotas
        self._clock = clock
        self._default_ttl_s = default_ttl_s

    async def submit(self, wish: Submission) -> Accepted:
        """Accepts the request whole. Returns only after it is on disk.

        Raises Invalid (`missing_recipients`, `too_many_recipients`, `missing_message`, `message_too_long`,
        `invalid_message`, `invalid_schedule_timestamp`, `too_many_parts`), NoDevice, NoChannel, KeyReused,
        RateLimited, or Unavailable when it may not be on disk.
        """
        now = self._clock()
        _check(wish, now)
        shape = segments(wish.text)
        if wish.key is None:
            if wish.max_parts or wish.channels is not ONLY_SMS or not self._devices.knows(wish.account, wish.device):
                await self._check_account(wish, shape)
            if wish.daily_sends is not None:
                await self._spend(wish, wish.daily_sends)
            accepted = self._new(wish, now)
        else:
            accepted = await self._of_key(wish, wish.key, shape, now)
        count = len(wish.recipients)
        publisher = self._single if count <= MAX_SINGLE_RECIPIENTS else self._bulk
        if len(wish.channels) == 1:
            await publisher.publish(self._command(wish, wish.channels[0], accepted.ids, accepted.at, shape))
        else:
            by_channel = [accepted.ids[start : start + count] for start in range(0, len(accepted.ids), count)]
            await publisher.publish_envelope(
                [
                    self._command(wish, channel, ids, accepted.at, shape)
                    for channel, ids in zip(wish.channels, by_channel, strict=True)
                ]
            )
        ACCEPTED.inc(len(accepted.ids))
        return accepted

    async def check(self, wish: Submission) -> Segments:
        """How the text would travel; nothing is accepted, and nothing counted against a day's messages or a key.

        Raises Invalid, NoDevice and NoChannel as `submit` does.
        """
        _check(wish, self._clock())
        shape = segments(wish.text)
        await self._check_account(wish, shape)
        return shape

    async def _check_account(self, wish: Submission, shape: Segments) -> None:
        """Refuses what this account's phones or limits do not allow now. Raises Invalid, NoDevice, NoChannel."""
        if wish.max_parts is not None and shape.parts > wish.max_parts and SMS in wish.channels:
            raise Invalid(
                f"The message has {shape.parts} parts and the account allows {wish.max_parts}.", code="too_many_parts"
            )
        if not self._devices.knows(wish.account, wish.device):
            await self._devices.check(wish.account, wish.device)
        for channel in wish.channels:
            if channel != SMS:
                await self._devices.check_channel(wish.account, wish.device, channel)

    async def _of_key(self, wish: Submission, key: str, shape: Segments, now: float) -> Accepted:
        """What the key stands for; from now on this request, if it stood for nothing."""
        fresh = self._new(wish, now)
        content = content_of(
            wish.recipients,
            wish.text,
            wish.channels,
            wish.media_url,
            wish.device,
            wish.sim,
            wish.scheduled_at,
            wish.ttl_s,
            wish.priority,
        )
        try:
            await self._check_account(wish, shape)
        except (Invalid, NoDevice, NoChannel):
            # What was accepted once stays so, whatever has become of the account's phones and limits.
            entry = await self._once.find(wish.account, key, content)
            if entry is None:
                raise
        else:
            if wish.daily_sends is not None and await self._once.find(wish.account, key, content) is None:
                await self._spend(wish, wish.daily_sends)
            entry = await self._once.enter(wish.account, key, Entry(fresh.ids[0], now, content))
        return Accepted(self._ids.again(wish.account, entry.first_id, len(fresh.ids)), entry.at)

    async def _spend(self, wish: Submission, limit: int) -> None:
        """Counts the request's messages as today's. Raises RateLimited."""
        count = len(wish.recipients) * len(wish.channels)
        await self._quotas.spend(wish.account, wish.time_zone, count, limit)

    def _new(self, wish: Submission, now: float) -> Accepted:
        count = len(wish.recipients) * len(wish.channels)
        return Accepted(self._ids.new(wish.account, int(now * 1000), count), now)

    def _command(self, wish: Submission, channel: str, ids: list[MessageId], at: float, shape: Segments) -> bytes:
        """The encoded command for one of the request's channels, whose messages have these ids."""
        scheduled_at = at if wish.scheduled_at is None else max(at, float(wish.scheduled_at))
        command = SubmitSms(
            account=wish.account,
            submitter=wish.submitter,
            recipients=list(map(Recipient, ids, wish.recipients)),
            text=wish.text,
            encoding=shape.encoding,
            parts=shape.parts,
            accepted_at=at,
            scheduled_at=scheduled_at,
            valid_until=scheduled_at + (wish.ttl_s or self._default_ttl_s),
            device=wish.device,
            sim=wish.sim,
            priority=wish.priority,
            origin=wish.origin,
        )
        if channel != SMS or wish.key is not None:
            # Apart, because most messages have none of it, and three more arguments cost as much as all the others.
            media_url = None if channel == SMS else wish.media_url
            command = msgspec.structs.replace(command, channel=channel, client_ref=wish.key, media_url=media_url)
        return encode_item(command)


def _check(wish: Submission, now: float) -> None:
    """Refuses what no account may ask for. Raises Invalid."""
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
    if wish.scheduled_at is not None and wish.scheduled_at > now + MAX_SCHEDULE_AHEAD_S:
        raise Invalid(
            "The schedule is more than 365 days ahead or not in Unix seconds.",
            code="invalid_schedule_timestamp",
        )
