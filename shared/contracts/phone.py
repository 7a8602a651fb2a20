"""The native phone protocol, version 1: JSON text frames on a WebSocket at /phone/v1/socket.

Every frame is one JSON object whose `type` names its struct. A phone opens with `hello`; the gateway answers
`welcome` (or `bye`). All times are Unix milliseconds UTC. docs/phone-protocol.md tells the rules.
"""

from typing import Literal

import msgspec

VERSION = 1
"""Protocol version that this code speaks; a hello with another one is refused with `bad_version`."""

MAX_FRAME_BYTES = 1024 * 1024
"""Longest frame that either side accepts, in bytes."""

MAX_ITEMS = 256
"""Most attempts, reports or texts in one frame."""

type_tag = str.lower

Outcome = Literal["sent", "delivered", "failed", "unknown", "canceled"]
"""What a phone can say about an attempt that it took."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=type_tag):
    """One WebSocket text message."""


class Sim(msgspec.Struct, frozen=True, kw_only=True):
    """A SIM slot of the phone; slots count from 1."""

    slot: int
    number: str | None = None
    carrier: str | None = None


class Hello(Frame, frozen=True, kw_only=True):
    """Phone → gateway, first frame. Exactly one of `token` and `enrolment_key` is set.

    `journal` is the id of the phone's journal file: a new one says that its memory of earlier attempts is gone.
    """

    version: int
    journal: str
    name: str
    sims: list[Sim]
    token: str | None = None
    enrolment_key: str | None = None
    channels: list[str] = msgspec.field(default_factory=lambda: ["sms"])
    software: str = ""


class Welcome(Frame, frozen=True, kw_only=True):
    """Gateway → phone: the session is open. `token` is set only after an enrolment and is shown once."""

    version: int
    device: str
    session: int
    token: str | None = None
    ping_interval_s: float = 15.0
    lease_s: float = 30.0


class Wake(Frame, frozen=True, kw_only=True):
    """Gateway → phone: there may be work; answer with `ready`."""


class Ready(Frame, frozen=True, kw_only=True):
    """Phone → gateway: how many untaken jobs each SIM slot may hold in all, and which are held already.

    Absolute, not incremental, so that a lost or repeated frame does no harm.
    """

    places: dict[int, int]
    held: list[str] = msgspec.field(default_factory=list)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt offered to the phone; it may be sent only after `taken` has named it.

    `channel` is one that the phone's hello named. `media_url` (https) is a picture or file that goes with the text; a
    channel that has no such thing leaves it out. `wait_ms`: how long this SIM shall rest after its last sending.
    """

    attempt: str
    sim: int
    number: str
    text: str
    valid_until_ms: int
    channel: str = "sms"
    media_url: str | None = None
    wait_ms: int = 0


class Jobs(Frame, frozen=True, kw_only=True):
    """Gateway → phone: leased work. Jobs already held come again after a lost frame; dedupe by attempt."""

    jobs: list[Job]


class Take(Frame, frozen=True, kw_only=True):
    """Phone → gateway, right before the radio: may I send these? `seq` comes back in `taken`."""

    seq: int
    attempts: list[str]


class Taken(Frame, frozen=True, kw_only=True):
    """Gateway → phone: the attempts of that `take` that are the phone's to send. The others are not."""

    seq: int
    attempts: list[str]


class AttemptReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt; `reason` is a short code when it failed (docs/phone-protocol.md)."""

    attempt: str
    state: Outcome
    at_ms: int
    reason: str | None = None


class Report(Frame, frozen=True, kw_only=True):
    """Phone → gateway: outcomes, kept in the journal and repeated until `ack` names `seq`."""

    seq: int
    reports: list[AttemptReport]


class ReceivedText(msgspec.Struct, frozen=True, kw_only=True):
    """A text that arrived at the phone. `id` is unique in the phone's journal; the offset gives its local time."""

    id: str
    sim: int
    number: str
    text: str
    at_ms: int
    utc_offset_min: int = 0


class Received(Frame, frozen=True, kw_only=True):
    """Phone → gateway: texts received, kept in the journal and repeated until `ack` names `seq`."""

    seq: int
    texts: list[ReceivedText]


class Ack(Frame, frozen=True, kw_only=True):
    """Gateway → phone: what `report` or `received` number `seq` said is on disk; forget it."""

    seq: int


class Ping(Frame, frozen=True, kw_only=True):
    """Either way: are you there? Answered with `pong` of the same number."""

    n: int


class Pong(Frame, frozen=True, kw_only=True):
    """The answer to `ping`."""

    n: int


ByeCode = Literal[
    "bad_version", "bad_frame", "unauthorized", "unavailable", "replaced", "stale_session", "shutting_down"
]


class Bye(Frame, frozen=True, kw_only=True):
    """Gateway → phone: the connection ends now and why; come back after `retry_after_s` (None: not by itself)."""

    code: ByeCode
    message: str
    retry_after_s: float | None = 1.0


FromPhone = Hello | Ready | Take | Report | Received | Ping | Pong
FromGateway = Welcome | Wake | Jobs | Taken | Ack | Ping | Pong | Bye
