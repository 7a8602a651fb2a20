"""The states of a message and of its recipients (1.5): which may follow which, and how many make one."""

from collections.abc import Collection
from typing import Final

from agent.smsgate.facts import MOVES, State

_ANY: Final[tuple[State, ...]] = ("Pending", "Cancelled", "Processed")
_ALL: Final[tuple[State, ...]] = ("Failed", "Delivered")


def may_follow(old: State, new: State) -> bool:
    """Whether a recipient may go from one to the other; nothing follows a state at rest."""
    return new in MOVES[old]


def of_message(recipients: Collection[State]) -> State:
    """The message's state, given those of its recipients, of which there is at least one."""
    for state in _ANY:
        if state in recipients:
            return state
    for state in _ALL:
        if all(each == state for each in recipients):
            return state
    return "Sent"
