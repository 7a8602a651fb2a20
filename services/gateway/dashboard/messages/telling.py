"""A message's story in words: which sentence stands for each change, why it waits, and what may be done. Pure."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from services.gateway.store import SentRow
from shared.contracts.rpc.messages import Change, MessageStory

APP_PROTOCOL: Final = "smsgate"
"""Phones of this protocol can be asked to leave what they have taken."""

REASONS: Final[Mapping[str, str]] = {
    **{
        reason: reason
        for reason in (
            "no_sim", "no_channel", "no_service", "radio_off", "sim_missing", "invalid_number", "no_subscription",
            "carrier_rejected", "partly_sent", "generic", "limit_exceeded", "no_permission", "undelivered",
            "interrupted", "radio_timeout", "radio_error", "silent", "device_removed", "rejected", "deleted",
            "campaign", "resent",
        )
    },
    "expired": "expired_on_phone",
    "new journal": "new_journal",
    "device removed": "removed_while_sending",
}  # fmt: skip
"""The services' words for reasons, and ours: `messages.reason.<word>` says what happened and what to do."""

_RETRYABLE: Final = frozenset(("failed", "expired", "canceled"))
_CALM: Final = frozenset(("not_due", "leased", "taken", "preferred", "behind", "next"))
_OPEN: Final = frozenset(("scheduled", "queued"))


class Line(NamedTuple):
    """A change of a message: `messages.change.<state>`, where it happened, and `messages.reason.<reason>` or none.

    `attempt` counts from 1, 0 where no phone was asked; `kind` colours it.
    """

    at: float
    state: str
    kind: str
    reason: str
    code: str
    phone: str | None
    sim: int | None
    attempt: int


class Waiting(NamedTuple):
    """Why a message does not move: `messages.wait.<word>` with these numbers, which are not yet written out."""

    word: str
    ahead: int = 0

    @property
    def calm(self) -> bool:
        """Whether it needs nobody's doing."""
        return self.word in _CALM


class Options(NamedTuple):
    """What can be done: `wish`: only ask its phone to leave it; `force`: it may arrive twice."""

    cancel: bool
    wish: bool
    resend: bool
    force: bool


def seen(row: SentRow) -> str:
    """The state as people see it; what a phone has in its hands is waiting still."""
    if row.live_state == "later":
        return "scheduled"
    return "queued" if row.live_state is not None and row.state != "unknown" else row.state


def lines(story: MessageStory) -> list[Line]:
    """The changes in their order."""
    return [_line(change, story) for change in story.changes]


def waiting(story: MessageStory, now: float) -> Waiting | None:
    """Why it waits at `now` (Unix seconds); None at rest."""
    if story.wait is None:
        return None
    if story.wait == "not_due" and story.scheduled_at <= now:
        return Waiting("retry")
    return Waiting(story.wait, story.ahead)


def options(row: SentRow, protocol: str | None) -> Options:
    """What can be done about a message, whose phone speaks this protocol."""
    taken = row.live_state == "taken"
    state = seen(row)
    wish = taken and protocol == APP_PROTOCOL and row.state != "unknown"
    return Options(
        cancel=(state in _OPEN and not taken) or wish,
        wish=wish,
        resend=state in _RETRYABLE and row.live_state is None and row.reason != "rejected",
        force=state == "unknown",
    )


def _line(change: Change, story: MessageStory) -> Line:
    reason, code = REASONS.get(change.detail or "", ""), change.detail or ""
    if change.state == "failed" and change.attempt == 0 and story.reason == "rejected":
        reason = "rejected"
    elif change.detail and not reason:
        reason = "other"
    elif change.state == "expired" or (change.state == "canceled" and not change.detail):
        reason = f"{change.state}_here"
    return Line(
        change.at, change.state, _KINDS.get(change.state, ""), reason, code, change.device, change.sim, change.attempt
    )


_KINDS: Final = {
    "taken": "busy",
    "sent": "sent",
    "delivered": "delivered",
    "failed": "failed",
    "expired": "expired",
    "canceled": "canceled",
    "unknown": "unknown",
}
