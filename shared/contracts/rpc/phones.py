"""Questions about phones that only the dispatcher can answer: sessions, leases, takes, the list of phones."""

import msgspec

from shared.contracts.phone import Job, Sim
from shared.contracts.rpc.apps import AppFacts

MAX_LISTED = 200
"""Most phones that one page of them holds, and most that are asked for by id."""

MAX_NAMED = 500
"""Most phones that one answer names."""


class OpenSession(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.hello.v1"):
    """A phone said hello at a gateway. `gateway` is the id of that replica."""

    account: int
    device: str
    gateway: str
    journal: str
    name: str
    sims: list[Sim]
    channels: list[str]
    software: str
    protocol: str
    approved: bool


class SessionOpened(msgspec.Struct, frozen=True, kw_only=True, tag="session_opened"):
    """The session's number, and the taken work of this journal without a report, to be given again."""

    session: int
    again: list[Job]


class Lease(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.lease.v1"):
    """`places`: untaken jobs that each SIM slot may hold in all; `held`: attempt ids that the phone holds already."""

    account: int
    device: str
    session: int
    places: dict[int, int]
    held: list[str]


class Leased(msgspec.Struct, frozen=True, tag="leased"):
    """Jobs of this session that the phone did not name as held, untaken ones first; at most 256 KiB."""

    jobs: list[Job]


class TakeAttempts(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.take.v1"):
    """May this session send these attempts now?"""

    account: int
    device: str
    session: int
    attempts: list[str]


class TakenAttempts(msgspec.Struct, frozen=True, tag="taken"):
    """The attempts that are this phone's to send; no other phone is ever given them unless it reports failure."""

    attempts: list[str]


class SessionRef(msgspec.Struct, frozen=True, array_like=True):
    """A session by device and number."""

    device: str
    session: int


class RenewSessions(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.renew.v1"):
    """All sessions that a gateway holds are alive (every 10 s; a lease ends 30 s after its session's last one)."""

    gateway: str
    sessions: list[SessionRef]


class SessionsRenewed(msgspec.Struct, frozen=True, tag="renewed"):
    """The sessions that are no longer the newest of their device; their connections must be closed."""

    stale: list[SessionRef]


class CloseSession(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.close.v1"):
    """The phone's connection ended; what it had not taken goes back to its queue."""

    account: int
    device: str
    session: int


class ListDevices(msgspec.Struct, frozen=True, tag="dispatcher.device_list.v1"):
    """The phones of an account, in order of enrolment: the first, those right `after` a phone or right `before` one.

    `limit` None: all, which only as many phones allow as fit into a message. `ids` asks for these alone, at most
    MAX_LISTED. Invalid.
    """

    account: int
    before: str | None = None
    after: str | None = None
    limit: int | None = None
    ids: list[str] | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A phone as people see it; `held` counts leased and taken messages.

    `online`: it has a live session. `present`: the same with hysteresis, as events tell it. `failure_rate`: part of its
    recent sends that failed, None where it has sent too few to say.
    """

    id: str
    name: str
    online: bool
    approved: bool
    protocol: str
    software: str
    session: int
    sims: list[Sim]
    channels: list[str]
    last_seen_at: float | None
    held: int
    present: bool = False
    paused: bool = False
    last_report_at: float | None = None
    failure_rate: float | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a SIM may send in any such span of time, in parts (None: no limit), and what it has used of it.

    `delay_ms`: the range from which the rest between two sends is drawn.
    """

    device: str
    slot: int
    per_minute: int | None
    per_hour: int | None
    per_day: int | None
    delay_ms: tuple[int, int]
    used_minute: int
    used_hour: int
    used_day: int


class Devices(msgspec.Struct, frozen=True, tag="devices"):
    """Phones in order of enrolment, the budgets of those SIMs that have one, and what the app says of its phones.

    `before` and `after`: what the pages on both sides are asked for with, None where there is none. `total` and
    `online` count all phones of the account.
    """

    devices: list[Device]
    budgets: list[Budget] = msgspec.field(default_factory=list)
    apps: list[AppFacts] = msgspec.field(default_factory=list)
    before: str | None = None
    after: str | None = None
    total: int = 0
    online: int = 0


class NameDevices(msgspec.Struct, frozen=True, tag="dispatcher.device_names.v1"):
    """What the phones of these `ids` are called, and beside them the first of the account until there are `limit`.

    There are at most MAX_NAMED of either. Invalid.
    """

    account: int
    ids: list[str] = msgspec.field(default_factory=list)
    limit: int = 0


class NamedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a phone as it takes to choose it."""

    id: str
    name: str
    online: bool
    approved: bool
    paused: bool
    protocol: str
    sims: list[Sim]


class NamedDevices(msgspec.Struct, frozen=True, tag="named_devices"):
    """Phones in order of enrolment. `total` and `online` count all of the account."""

    devices: list[NamedDevice]
    total: int
    online: int


class SetBudget(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.budget_set.v1"):
    """Change what a SIM may send; `slot` None: each of the phone's. None leaves a limit as it is, 0 takes it away."""

    account: int
    device: str
    slot: int | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    delay_ms: tuple[int, int] | None = None


class ChangeDevice(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.device_change.v1"):
    """Rename, approve or pause a phone; None leaves a thing as it is. A paused phone gets no work. NotFound."""

    account: int
    device: str
    name: str | None = None
    approved: bool | None = None
    paused: bool | None = None


class RemoveDevice(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.device_remove.v1"):
    """Remove a phone: work pinned to it fails at once, what it took without a report is unknown. NotFound."""

    account: int
    device: str
