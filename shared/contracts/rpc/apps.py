"""Questions about phones of the app's protocol: they have no socket, pull by HTTP and listen to a stream of events."""

import msgspec

from shared.contracts.phone import Sim


class UpdateApp(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.app_update.v1"):
    """A phone says what it is now; `sims` None: it does not say. NotFound."""

    account: int
    device: str
    software: str
    sims: list[Sim] | None


class AttachApp(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.app_attach.v1"):
    """A phone has opened its stream of events at a gateway; older streams end. NotFound."""

    account: int
    device: str
    gateway: str


class AppAttached(msgspec.Struct, frozen=True, tag="app_attached"):
    """The number of the session that lasts as long as the stream."""

    session: int


class PullWork(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.app_pull.v1"):
    """What is this phone to send? The answer is the taking. NotFound."""

    account: int
    device: str


class LoseList(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.app_lose.v1"):
    """These attempts stood in a list that surely did not arrive; they are listed again at once."""

    account: int
    device: str
    attempts: list[str]


class AppJob(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is this phone's to send; `cancel`: not any more, if it can still be stopped.

    `sim` is None for a phone that does not tell its SIMs.
    """

    attempt: str
    sim: int | None
    number: str
    text: str
    valid_until_ms: int
    priority: int
    cancel: bool


class Pulled(msgspec.Struct, frozen=True, tag="app_pulled"):
    """At most 100 attempts: new ones first, then what was taken before and is listed again. `fresh`: the new ones."""

    jobs: list[AppJob]
    fresh: int


class AppSign(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a phone let be known since the last time; None where it did not. Times are Unix seconds.

    `clock_off_s`: its clock less ours, by its last signed call. `heard`: attempts that it has, and `expired`: those
    that it found too old, both by attempt id, as of `seen_at`.
    """

    account: int
    device: str
    seen_at: float
    hooked_at: float | None = None
    signed: bool = False
    unsigned: bool = False
    clock_off_s: int | None = None
    status: str | None = None
    battery: int | None = None
    failed_texts: int | None = None
    health_at: float | None = None
    heard: list[str] = msgspec.field(default_factory=list)
    expired: list[str] = msgspec.field(default_factory=list)


class NoteSigns(msgspec.Struct, frozen=True, tag="dispatcher.app_signs.v1"):
    """Signs of life of a gateway's phones (every 10 s)."""

    signs: list[AppSign]


class AppFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A phone of the app's protocol as people see it, beside what any phone has. Times are Unix seconds.

    `battery` is in percent; `failed_texts` are those of the phone's last hour. `signed`: only signed calls count.
    """

    device: str
    status: str | None
    battery: int | None
    failed_texts: int | None
    health_at: float | None
    hooked_at: float | None
    signed: bool
    unsigned_at: float | None
    clock_off_s: int | None
    clock_doubted_at: float | None
