"""Questions that only the owner of the rows can answer: request/reply structs, one pair per subject in registry.py."""

from typing import Literal

import msgspec

from shared.contracts.phone import Job, Sim


class RpcError(msgspec.Struct, frozen=True, tag="error"):
    """The answer when the owner refuses: `code` and text of an error of shared/errors.py."""

    code: str
    message: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is done and there is nothing more to say."""


# --- auth ---------------------------------------------------------------------------------------------------------


class Verify(msgspec.Struct, frozen=True, tag="auth.verify.v1"):
    """Who is behind this credential? `digest` is its SHA-256; the credential itself does not travel."""

    kind: Literal["api_key", "enrolment_key", "device_token"]
    digest: bytes


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag="verdict"):
    """`account` is None for an unknown, revoked or expired credential.

    `active` is False for a suspended account. `subject` names the credential (key id, device id). `epoch` is how far
    the answering replica has followed `auth.changed`. `rate_per_minute` (requests of this key) and `max_parts` (of one
    message) are None where there is no limit; `region` is the ISO 3166 code that national numbers are read by.
    """

    epoch: int
    account: int | None = None
    subject: str = ""
    scopes: list[str] = msgspec.field(default_factory=list)
    active: bool = True
    time_zone: str = "UTC"
    region: str | None = None
    max_parts: int | None = None
    rate_per_minute: int | None = None


class Enrol(msgspec.Struct, frozen=True, kw_only=True, tag="auth.enrol.v1"):
    """Make a device from an enrolment key (by digest), or give the device that a spent one made a new token."""

    digest: bytes


class Enrolled(msgspec.Struct, frozen=True, kw_only=True, tag="enrolled"):
    """The device that the key stands for. `token` is shown once; `approved` False: it leases nothing yet."""

    account: int
    device: str
    token: str
    approved: bool


class CreateAccount(msgspec.Struct, frozen=True, kw_only=True, tag="auth.account_create.v1"):
    """A new account with an API key of every scope and a reusable enrolment key. Conflict: the name is taken."""

    name: str
    time_zone: str = "UTC"


class AccountCreated(msgspec.Struct, frozen=True, kw_only=True, tag="account_created"):
    """Both credentials are shown here and never again."""

    account: int
    name: str
    api_key: str
    enrolment_key: str


class SetAccount(msgspec.Struct, frozen=True, kw_only=True, tag="auth.account_set.v1"):
    """Change an account's settings: None leaves one as it is; 0 or an empty text takes a limit or the region away.

    A suspended account's requests are refused, and its waiting messages are held.
    """

    account: int
    status: Literal["active", "suspended"] | None = None
    time_zone: str | None = None
    region: str | None = None
    max_parts: int | None = None
    rate_per_minute: int | None = None


class ListAccounts(msgspec.Struct, frozen=True, tag="auth.account_list.v1"):
    """All accounts of the installation."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as people see it."""

    id: int
    name: str
    status: str
    time_zone: str
    created_at: float
    region: str | None = None
    max_parts: int | None = None
    rate_per_minute: int | None = None


class Accounts(msgspec.Struct, frozen=True, tag="accounts"):
    """Accounts in order of creation."""

    accounts: list[Account]


class CreateKey(msgspec.Struct, frozen=True, kw_only=True, tag="auth.key_create.v1"):
    """A new API key. An empty list of scopes means every scope; no rate of its own, the account's."""

    account: int
    name: str
    scopes: list[str] = msgspec.field(default_factory=list)
    rate_per_minute: int | None = None


class KeyCreated(msgspec.Struct, frozen=True, kw_only=True, tag="key_created"):
    """The key is shown here and never again."""

    id: str
    api_key: str


class ListKeys(msgspec.Struct, frozen=True, tag="auth.key_list.v1"):
    """The API keys of an account."""

    account: int


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as people see it: never its secret, but its first characters."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: float
    revoked_at: float | None
    rate_per_minute: int | None = None


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """Keys in order of creation."""

    keys: list[Key]


class RevokeKey(msgspec.Struct, frozen=True, kw_only=True, tag="auth.key_revoke.v1"):
    """End an API key at once. NotFound if the account has no such key."""

    account: int
    id: str


class RevokeDevice(msgspec.Struct, frozen=True, kw_only=True, tag="auth.device_revoke.v1"):
    """End a device's token, and the single-use enrolment key that made it. NotFound if there is no such device."""

    account: int
    device: str


class AuthChanged(msgspec.Struct, frozen=True, tag="auth.changed.v1"):
    """Broadcast on core NATS after each change and every 500 ms: how far auth's state has grown."""

    epoch: int


# --- dispatcher: phones -------------------------------------------------------------------------------------------


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
    """The phones of an account."""

    account: int


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A phone as people see it; `held` counts leased and taken messages."""

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


class Devices(msgspec.Struct, frozen=True, tag="devices"):
    """Phones in order of enrolment."""

    devices: list[Device]


class RemoveDevice(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.device_remove.v1"):
    """Remove a phone: work pinned to it fails at once, what it took without a report is unknown. NotFound."""

    account: int
    device: str


# --- dispatcher: messages -----------------------------------------------------------------------------------------


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


class MessageStory(msgspec.Struct, frozen=True, kw_only=True, tag="message_story"):
    """What is known of a message and why it waits now (`waiting`, None when at rest)."""

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


class CancelMessage(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.cancel.v1"):
    """Cancel a message that no phone has taken. Conflict `too_late` otherwise, NotFound for another account's."""

    message: bytes
    account: int | None = None


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


FlagKind = Literal["late", "no_phone", "unreported", "unknown"]
FLAG_KINDS: tuple[FlagKind, ...] = ("late", "no_phone", "unreported", "unknown")


class ListAttention(msgspec.Struct, frozen=True, tag="dispatcher.attention.v1"):
    """What is out of the ordinary now?"""


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of an account that need a person's eye.

    `late`: ready for a minute although a phone that may send them is online. `no_phone`: ready for a minute, and there
    is none. `unreported`: taken two minutes ago by this phone, which is online and says nothing. `unknown`: nobody
    knows whether they were sent (last 24 h).
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


# --- webhooks -----------------------------------------------------------------------------------------------------


class CreateEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_create.v1"):
    """A webhook URL of an account. Invalid for a URL that is not http(s) or that may not be called."""

    account: int
    url: str
    format: Literal["classic"] = "classic"
    description: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint as people see it."""

    id: str
    account: int
    url: str
    format: str
    description: str
    enabled: bool
    created_at: float
    pending: int = 0
    delivered: int = 0
    last_error: str | None = None


class EndpointCreated(msgspec.Struct, frozen=True, tag="endpoint_created"):
    """The new endpoint."""

    endpoint: Endpoint


class ListEndpoints(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_list.v1"):
    """The endpoints of an account; `id` set: that one only."""

    account: int
    id: str | None = None


class Endpoints(msgspec.Struct, frozen=True, tag="endpoints"):
    """Endpoints in order of creation."""

    endpoints: list[Endpoint]


class DeleteEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_delete.v1"):
    """End an endpoint with its undelivered events. NotFound if the account has no such endpoint."""

    account: int
    id: str
