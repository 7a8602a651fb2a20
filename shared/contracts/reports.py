"""What phones say, as the gateway puts it on the REPORTS stream after checking who says it."""

from typing import Literal

import msgspec

from shared.contracts.phone import Outcome

TextKind = Literal["sms", "data", "mms"]
"""A text; a data SMS, its bytes in base64; notice of an MMS, whose text is its subject."""


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
    kind: TextKind = "sms"


Report = AttemptReported | TextReceived
