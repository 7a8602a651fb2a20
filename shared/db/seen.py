"""How people see the state of a message, from its row in the log and its live one: the same for whoever reads both."""

from typing import Final, Literal, get_args

SeenState = Literal["scheduled", "queued", "sent", "delivered", "failed", "expired", "canceled", "unknown"]
SEEN_STATES: Final[tuple[SeenState, ...]] = get_args(SeenState)

SEEN: Final = """case
        when w.state = 'later' then 'scheduled'
        when w.state is not null and m.state <> 'unknown' then 'queued'
        else m.state
    end"""
"""A SeenState of message `m` with live row `w`, whose columns are null at rest. In a phone's hands is queued still."""
