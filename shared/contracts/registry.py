"""Binds each contract to its subject, stream and durable name. The only subject literals of the system."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from shared.contracts import rpc
from shared.contracts.commands import SubmitSms
from shared.contracts.events import Event
from shared.contracts.reports import AttemptReported, TextReceived

Request = TypeVar("Request", bound=msgspec.Struct)
Reply = TypeVar("Reply", bound=msgspec.Struct)


@dataclass(frozen=True)
class Stream:
    """A WorkQueue stream on disk that refuses new messages when full (discard=new)."""

    name: str
    subjects: tuple[str, ...]
    share: float
    """Its part of the server's max_file_store."""


@dataclass(frozen=True)
class Durable:
    """One consumer of a stream: pull, explicit ack, unlimited redelivery."""

    name: str
    stream: Stream
    subject: str
    items: tuple[type[msgspec.Struct], ...]
    """The contracts that its envelopes hold."""
    ack_wait_s: int = 10
    max_ack_pending: int = 64


@dataclass(frozen=True)
class Bucket:
    """A key-value bucket on disk: one value a key, forgotten after its time."""

    name: str
    ttl_s: int
    share: float
    """Its part of the server's max_file_store."""

    @property
    def stream(self) -> str:
        """The stream that JetStream keeps it in."""
        return f"KV_{self.name}"

    def subject(self, key: str) -> str:
        """The subject of a key; `>` stands for all."""
        return f"$KV.{self.name}.{key}"


@dataclass(frozen=True)
class Rpc(Generic[Request, Reply]):
    """A question on core NATS, answered by the queue group of the service that owns the rows."""

    service: str
    verb: str
    request: type[Request]
    reply: type[Reply]

    @property
    def subject(self) -> str:
        """The NATS subject of the question."""
        return f"rpc.{self.service}.{self.verb}"


SUBMIT_SINGLE = "cmd.sms.submit.single"
SUBMIT_BULK = "cmd.sms.submit.bulk"
REPORT_ATTEMPT = "report.attempt"
REPORT_RECEIVED = "report.received"
REPORT_DEVICE = "report.device"
EVENT_ENVELOPE = "event.envelope"
AUTH_CHANGED = "auth.changed"
BROADCASTS: dict[str, type[msgspec.Struct]] = {AUTH_CHANGED: rpc.AuthChanged}
"""What is told to every listener on core NATS and kept nowhere."""

COMMANDS = Stream("COMMANDS", (SUBMIT_SINGLE, SUBMIT_BULK), share=0.35)
REPORTS = Stream("REPORTS", (REPORT_ATTEMPT, REPORT_RECEIVED, REPORT_DEVICE), share=0.25)
EVENTS = Stream("EVENTS", (EVENT_ENVELOPE,), share=0.25)
STREAMS = (COMMANDS, REPORTS, EVENTS)

IDEMPOTENCY = Bucket("idempotency", ttl_s=7 * 86_400, share=0.1)
"""Which message a caller's idempotency key stands for (services/gateway/once.py)."""

BUCKETS = (IDEMPOTENCY,)

DISPATCHER_SINGLE = Durable("dispatcher-single", COMMANDS, SUBMIT_SINGLE, (SubmitSms,))
DISPATCHER_BULK = Durable("dispatcher-bulk", COMMANDS, SUBMIT_BULK, (SubmitSms,))
DISPATCHER_ATTEMPTS = Durable("dispatcher-attempts", REPORTS, REPORT_ATTEMPT, (AttemptReported,))
DISPATCHER_RECEIVED = Durable("dispatcher-received", REPORTS, REPORT_RECEIVED, (TextReceived,))
WEBHOOKS_EVENTS = Durable("webhooks-events", EVENTS, EVENT_ENVELOPE, (Event,))
DURABLES = (DISPATCHER_SINGLE, DISPATCHER_BULK, DISPATCHER_ATTEMPTS, DISPATCHER_RECEIVED, WEBHOOKS_EVENTS)

AUTH_VERIFY = Rpc("auth", "verify", rpc.Verify, rpc.Verdict)
AUTH_ENROL = Rpc("auth", "enrol", rpc.Enrol, rpc.Enrolled)
AUTH_ACCOUNT_CREATE = Rpc("auth", "account_create", rpc.CreateAccount, rpc.AccountCreated)
AUTH_ACCOUNT_LIST = Rpc("auth", "account_list", rpc.ListAccounts, rpc.Accounts)
AUTH_ACCOUNT_SET = Rpc("auth", "account_set", rpc.SetAccount, rpc.Done)
AUTH_DEVICE_REVOKE = Rpc("auth", "device_revoke", rpc.RevokeDevice, rpc.Done)
AUTH_KEY_CREATE = Rpc("auth", "key_create", rpc.CreateKey, rpc.KeyCreated)
AUTH_KEY_LIST = Rpc("auth", "key_list", rpc.ListKeys, rpc.Keys)
AUTH_KEY_REVOKE = Rpc("auth", "key_revoke", rpc.RevokeKey, rpc.Done)

DISPATCHER_HELLO = Rpc("dispatcher", "hello", rpc.OpenSession, rpc.SessionOpened)
DISPATCHER_LEASE = Rpc("dispatcher", "lease", rpc.Lease, rpc.Leased)
DISPATCHER_TAKE = Rpc("dispatcher", "take", rpc.TakeAttempts, rpc.TakenAttempts)
DISPATCHER_RENEW = Rpc("dispatcher", "renew", rpc.RenewSessions, rpc.SessionsRenewed)
DISPATCHER_CLOSE = Rpc("dispatcher", "close", rpc.CloseSession, rpc.Done)
DISPATCHER_DEVICE_LIST = Rpc("dispatcher", "device_list", rpc.ListDevices, rpc.Devices)
DISPATCHER_DEVICE_REMOVE = Rpc("dispatcher", "device_remove", rpc.RemoveDevice, rpc.Done)
DISPATCHER_MESSAGE_SHOW = Rpc("dispatcher", "message_show", rpc.ShowMessage, rpc.MessageStory)
DISPATCHER_CANCEL = Rpc("dispatcher", "cancel", rpc.CancelMessage, rpc.Done)
DISPATCHER_RESEND = Rpc("dispatcher", "resend", rpc.ResendMessage, rpc.Done)
DISPATCHER_DELETE = Rpc("dispatcher", "delete", rpc.DeleteMessages, rpc.Deleted)
DISPATCHER_MARK_READ = Rpc("dispatcher", "mark_read", rpc.MarkRead, rpc.Done)
DISPATCHER_ATTENTION = Rpc("dispatcher", "attention", rpc.ListAttention, rpc.Attention)
DISPATCHER_DEAD_LIST = Rpc("dispatcher", "dead_list", rpc.ListDead, rpc.DeadLetters)
DISPATCHER_DEAD_REPLAY = Rpc("dispatcher", "dead_replay", rpc.ReplayDead, rpc.Done)

WEBHOOKS_ENDPOINT_CREATE = Rpc("webhooks", "endpoint_create", rpc.CreateEndpoint, rpc.EndpointCreated)
WEBHOOKS_ENDPOINT_LIST = Rpc("webhooks", "endpoint_list", rpc.ListEndpoints, rpc.Endpoints)
WEBHOOKS_ENDPOINT_DELETE = Rpc("webhooks", "endpoint_delete", rpc.DeleteEndpoint, rpc.Done)


def wake_subject(device: str) -> str:
    """Core NATS: there may be work for this phone; heard by whichever gateway holds it."""
    return f"phone.wake.{device}"


ALL_WAKES = wake_subject("*")


def contracts() -> dict[str, Any]:
    """Every rpc of the system by subject (for documents and tests)."""
    return {value.subject: value for value in globals().values() if isinstance(value, Rpc)}
