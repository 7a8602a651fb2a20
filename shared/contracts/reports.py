"""What phones say, as the gateway puts it on the REPORTS stream after checking who says it."""

import msgspec

from shared.contracts.phone import Outcome


class AttemptReported(msgspec.Struct, frozen=True, kw_only=True, tag="attempt.reported.v1"):
    """An outcome of one attempt; counts only if the attempt was given to this device of this account."""

    account: int
    device: str
    message: bytes
    number: int
    state: Outcome
    at: float
    reason: str | None = None


class TextReceived(msgspec.Struct, frozen=True, kw_only=True, tag="text.received.v1"):
    """A text that arrived at a phone. `fingerprint` (32 bytes) makes a repeated report harmless."""

    account: int
    device: str
    sim: int | None
    number: str
    text: str
    at: float
    utc_offset_min: int
    fingerprint: bytes


Report = AttemptReported | TextReceived
