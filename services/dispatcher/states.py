"""The life of attempts and messages as pure rules: allowed moves, ranks, folding of reports, numbers of changes."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from shared.contracts.reports import AttemptReported

AttemptState = Literal["leased", "taken", "unknown", "canceled", "sent", "failed", "delivered"]
MessageState = Literal[
    "scheduled", "queued", "leased", "taken", "sent", "delivered", "failed", "expired", "canceled", "unknown"
]
Cause = Literal[
    "due", "lease", "lapse", "take", "hold",
    "sent", "delivered", "failed", "canceled", "unknown",
    "retry", "cancel", "expire", "remove", "resend", "force_resend",
]  # fmt: skip

RANKED: Final[tuple[AttemptState, ...]] = (
    "leased",
    "taken",
    "unknown",
    "canceled",
    "sent",
    "failed",
    "delivered",
)
"""States of an attempt from the weakest knowledge to the strongest; a report never moves an attempt down."""

UNTAKEN: Final[tuple[MessageState, ...]] = ("scheduled", "queued", "leased")
"""No phone may send it yet: it can be withdrawn without asking anybody."""

RESENDABLE: Final[tuple[MessageState, ...]] = ("failed", "expired", "canceled")
"""Certainly not sent: it may have a fresh round of tries."""

# A phone may speak of any attempt that it ever took, long after the message went on: while a later try waits, after
# cancelling, after a lost journal. So every state of a message that a phone may have taken is open to every report.
_TAKEN_ONCE: Final[tuple[MessageState, ...]] = (
    "scheduled", "queued", "leased", "taken", "unknown", "canceled", "failed", "expired",
)  # fmt: skip

MOVES: Final[Mapping[Cause, tuple[tuple[MessageState, ...], MessageState]]] = MappingProxyType(
    {
        # What the clock and the phones' asking do.
        "due": (("scheduled",), "queued"),
        "hold": (("queued",), "scheduled"),
        "lease": (("queued",), "leased"),
        "lapse": (("leased",), "queued"),
        "take": (("leased",), "taken"),
        # What phones report.
        "sent": (_TAKEN_ONCE, "sent"),
        "delivered": ((*_TAKEN_ONCE, "sent"), "delivered"),
        "failed": (("taken", "unknown", "canceled", "sent"), "failed"),
        "canceled": (("taken", "unknown"), "canceled"),
        "unknown": (("taken",), "unknown"),
        "retry": (("taken", "unknown"), "scheduled"),
        # What people and time decide.
        "cancel": (UNTAKEN, "canceled"),
        "expire": (UNTAKEN, "expired"),
        "remove": (UNTAKEN, "failed"),
        "resend": (RESENDABLE, "queued"),
        "force_resend": ((*RESENDABLE, "unknown"), "queued"),
    }
)
"""Every move that a message can make: its cause, the states in which that may happen, and where it leads."""


def move(state: MessageState, cause: Cause) -> MessageState | None:
    """Where the cause leads from this state; None where it changes nothing."""
    before, after = MOVES[cause]
    return after if state in before else None


def may_move(attempt: AttemptState, told: AttemptState) -> bool:
    """Whether a report moves an attempt: only upwards, and only one that was taken."""
    return attempt != "leased" and rank(told) > rank(attempt)


def derive(attempts: Sequence[AttemptState]) -> MessageState:
    """What a message's taken attempts, oldest first and at least one, say of it.

    A delivery or a sending on any attempt is what the recipient has; otherwise the newest attempt counts.
    """
    for proof in ("delivered", "sent"):
        if proof in attempts:
            return proof
    return attempts[-1]


CHANGES_PER_ATTEMPT: Final = 16
"""Room for one attempt's changes in a message's growing change numbers."""

EXPIRED_CHANGE: Final = 8
CANCELED_CHANGE: Final = 9
REJECTED_CHANGE: Final = 10
DEVICE_REMOVED_CHANGE: Final = 11
"""Places, after an attempt's ranks 1 to 7, of the changes that end a message without a report."""


def rank(state: AttemptState) -> int:
    """1 (leased) to 7 (delivered)."""
    return RANKED.index(state) + 1


def change_number(attempt: int, place: int) -> int:
    """The number of a change within its message: grows with attempts and ranks, the same however often told."""
    return attempt * CHANGES_PER_ATTEMPT + place


RETRY_DELAYS_S: Final = (15.0, 60.0, 300.0)
"""Wait before the second, third and fourth try of a round, before jitter."""

RETRY_JITTER: Final = 0.2
"""A retry comes this part of its delay earlier or later."""

PERMANENT: Final = frozenset({"invalid_number", "no_subscription"})
"""Reasons of failure that another try cannot mend (docs/phone-protocol.md)."""

PARTLY_SENT: Final = "partly_sent"
"""Some parts went out: only the same SIM may try again, so that the recipient's phone can join them."""


def retry_delays(reason: str | None, chance: float) -> list[float]:
    """Seconds to wait after the first, second and third failed try of a round; none where a retry is no use.

    `chance` is a random number from 0 to 1.
    """
    if reason in PERMANENT:
        return []
    return [delay * (1 + RETRY_JITTER * (2 * chance - 1)) for delay in RETRY_DELAYS_S]


class FoldedAttempt(NamedTuple):
    """All that a batch of reports says of one attempt. Times are Unix seconds, None where nothing was said."""

    message: bytes
    number: int
    device: str
    account: int
    state: AttemptState
    reason: str | None
    unknown_at: float | None
    canceled_at: float | None
    sent_at: float | None
    failed_at: float | None
    delivered_at: float | None


def fold(reports: Iterable[AttemptReported]) -> list[FoldedAttempt]:
    """One row for each attempt and device, in order of message and number: the highest state, all times.

    A delivery proves a sending: where only `delivered` was told, `sent_at` is its time. Repeated reports of one state
    keep the earliest time.
    """
    grouped: dict[tuple[bytes, int, str, int], list[AttemptReported]] = {}
    for report in reports:
        grouped.setdefault((report.message, report.number, report.device, report.account), []).append(report)
    return [_fold_one(key, grouped[key]) for key in sorted(grouped)]


def _fold_one(key: tuple[bytes, int, str, int], reports: list[AttemptReported]) -> FoldedAttempt:
    times: dict[str, float] = {}
    for report in reports:
        times[report.state] = min(report.at, times.get(report.state, report.at))
    if "delivered" in times:
        times.setdefault("sent", times["delivered"])
    strongest = max(reports, key=lambda report: rank(report.state))
    message, number, device, account = key
    return FoldedAttempt(
        message,
        number,
        device,
        account,
        strongest.state,
        strongest.reason,
        times.get("unknown"),
        times.get("canceled"),
        times.get("sent"),
        times.get("failed"),
        times.get("delivered"),
    )
