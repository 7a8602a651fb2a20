"""Questions about messages that only the dispatcher can answer: their story, cancel, resend, what needs a person."""

from typing import Literal

import msgspec


class ShowMessage(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.message_show.v1"):
    """The whole story of a message. `account` None: any account (the operator's own question)."""

    message: bytes
    account: int | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a message's story, in order of `number`."""

    number: int
    at: float
    state: str
    attempt: int
    device: str | None
    sim: int | None
    detail: str | None


Wait = Literal[
    "campaign_paused",
    "not_due",
    "leased",
    "taken",
    "suspended",
    "quiet_hours",
    "no_phone",
    "preferred",
    "behind",
    "next",
]
"""Why a message waits: `behind` others of its queue; `next` for a phone that has room."""


class MessageStory(msgspec.Struct, frozen=True, kw_only=True, tag="message_story"):
    """What is known of a message and why it waits now (`waiting`, None when at rest).

    `route` says why its first phone was chosen (`pinned`, `contact`, `shortest_wait`, `any`), `preferred_device` which
    it was. `estimated_at` (Unix seconds): when it will probably go out; None at rest and where no phone serves it.
    `wait` is `waiting` for programs, `ahead` how many parts go out before it.
    """

    id: str
    account: int
    state: str
    reason: str | None
    recipient: str
    parts: int
    encoding: str
    priority: int
    accepted_at: float
    scheduled_at: float
    valid_until: float
    device: str | None
    sim: int | None
    changes: list[Change]
    waiting: str | None
    route: str | None = None
    preferred_device: str | None = None
    estimated_at: float | None = None
    wait: Wait | None = None
    ahead: int = 0


class CancelMessage(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.cancel.v1"):
    """Cancel a message that no phone has taken, or ask an app's phone to leave it.

    Conflict `too_late` otherwise, NotFound for another account's.
    """

    message: bytes
    account: int | None = None


class CancelAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="cancel_answer"):
    """It is canceled; or, `wished`: an app's phone has taken it, was asked to leave it, and its report will decide."""

    wished: bool


class ResendMessage(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.resend.v1"):
    """A fresh round of tries for a message that failed, expired or was canceled; `force`: also for an unknown one.

    Conflict `not_in_error` in another state, NotFound for another account's.
    """

    account: int
    message: bytes
    force: bool = False


class DeleteMessages(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.delete.v1"):
    """Hide messages from the logs: one by id (sent) or guid (received), or all of both between two moments.

    A sent message that no phone has taken is canceled too. Times are Unix seconds, the end is exclusive.
    """

    account: int
    message: bytes | None = None
    inbox_guid: str | None = None
    start: float | None = None
    end: float | None = None


class Deleted(msgspec.Struct, frozen=True, tag="deleted"):
    """How many messages left the logs by this call."""

    count: int


class MarkRead(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.mark_read.v1"):
    """These inbox messages of the account were shown to a reader."""

    account: int
    inbox: list[int]


class MarkSeen(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.mark_seen.v1"):
    """A person has seen what this number wrote to the account, up to this inbox id."""

    account: int
    number: str
    until: int


FlagKind = Literal["late", "no_phone", "unreported", "unknown", "wrong_clock", "silent_receiver"]
FLAG_KINDS: tuple[FlagKind, ...] = ("late", "no_phone", "unreported", "unknown", "wrong_clock", "silent_receiver")


class ListAttention(msgspec.Struct, frozen=True, tag="dispatcher.attention.v1"):
    """What is out of the ordinary now? `account` None: in any account, which only the operator asks."""

    account: int | None = None


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """Messages or a phone of an account that need a person's eye.

    `late`: ready for a minute although a phone that may send them is online. `no_phone`: ready for a minute, and there
    is none. `unreported`: taken two minutes ago by this phone, which is online and says nothing. `unknown`: nobody
    knows whether they were sent (last 24 h). Of phones of the app: `wrong_clock`: over a minute off; `silent_receiver`:
    what the phone receives does not reach us, although it is online.
    """

    kind: FlagKind
    account: int
    device: str | None
    messages: int
    oldest_s: float


class Attention(msgspec.Struct, frozen=True, tag="attention"):
    """Flags, the oldest trouble first."""

    flags: list[Flag]


class ListDead(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.dead_list.v1"):
    """Dead letters, newest first; `id` set: that one with its content."""

    id: int | None = None
    limit: int = 100


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An item that could not be stored, and why. `item` is its content as JSON text, None in lists."""

    id: int
    source: str
    account: int | None
    reason: str
    created_at: float
    replayed_at: float | None
    item: str | None = None


class DeadLetters(msgspec.Struct, frozen=True, tag="dead_letters"):
    """Dead letters, newest first."""

    letters: list[DeadLetter]


class ReplayDead(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.dead_replay.v1"):
    """Put a dead letter's item back on its stream. Conflict if it was replayed before, NotFound if there is none."""

    id: int
