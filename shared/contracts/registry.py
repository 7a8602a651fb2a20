"""Binds each contract to its subject, stream and durable name. The only subject literals of the system."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from shared.contracts.commands import SubmitSms
from shared.contracts.events import Event
from shared.contracts.reports import AttemptReported, TextReceived
from shared.contracts.rpc import (
    answers,
    apps,
    audit,
    auth,
    campaigns,
    clients,
    deliveries,
    messages,
    people,
    phones,
    retention,
    webhooks,
)

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

    @property
    def service(self) -> str:
        """Who consumes it: its name begins with the service's."""
        return self.name.partition("-")[0]


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
BROADCASTS: dict[str, type[msgspec.Struct]] = {AUTH_CHANGED: auth.AuthChanged}
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

AUTH_VERIFY = Rpc("auth", "verify", auth.Verify, auth.Verdict)
AUTH_ENROL = Rpc("auth", "enrol", auth.Enrol, auth.Enrolled)
AUTH_ACCOUNT_CREATE = Rpc("auth", "account_create", auth.CreateAccount, auth.AccountCreated)
AUTH_ACCOUNT_LIST = Rpc("auth", "account_list", auth.ListAccounts, auth.Accounts)
AUTH_ACCOUNT_SET = Rpc("auth", "account_set", auth.SetAccount, answers.Done)
AUTH_ACCOUNT_SHOW = Rpc("auth", "account_show", auth.ShowAccount, auth.AccountShown)
AUTH_SETTINGS_SET = Rpc("auth", "settings_set", auth.SetSettings, answers.Done)
AUTH_DEVICE_REVOKE = Rpc("auth", "device_revoke", auth.RevokeDevice, answers.Done)
AUTH_TOKEN_ISSUE = Rpc("auth", "token_issue", auth.IssueToken, auth.TokenIssued)
AUTH_TOKEN_INTROSPECT = Rpc("auth", "token_introspect", auth.IntrospectToken, auth.TokenFacts)
AUTH_TOKEN_REVOKE = Rpc("auth", "token_revoke", auth.RevokeToken, answers.Done)
AUTH_TRUST = Rpc("auth", "trust", auth.AskTrust, auth.Trust)
AUTH_KEY_CREATE = Rpc("auth", "key_create", auth.CreateKey, auth.KeyCreated)
AUTH_KEY_LIST = Rpc("auth", "key_list", auth.ListKeys, auth.Keys)
AUTH_KEY_REVOKE = Rpc("auth", "key_revoke", auth.RevokeKey, answers.Done)
AUTH_KEY_ROTATE = Rpc("auth", "key_rotate", auth.RotateKey, auth.KeyCreated)
AUTH_CLIENT_CREATE = Rpc("auth", "client_create", clients.CreateClient, clients.ClientCreated)
AUTH_CLIENT_LIST = Rpc("auth", "client_list", clients.ListClients, clients.Clients)
AUTH_CLIENT_ROTATE = Rpc("auth", "client_rotate", clients.RotateClient, clients.ClientCreated)
AUTH_CLIENT_REVOKE = Rpc("auth", "client_revoke", clients.RevokeClient, answers.Done)
AUTH_ENROLMENT_CREATE = Rpc("auth", "enrolment_create", clients.CreateEnrolmentKey, clients.EnrolmentKeyCreated)
AUTH_ENROLMENT_LIST = Rpc("auth", "enrolment_list", clients.ListEnrolmentKeys, clients.EnrolmentKeys)
AUTH_ENROLMENT_REVOKE = Rpc("auth", "enrolment_revoke", clients.RevokeEnrolmentKey, answers.Done)
AUTH_SIGNING_LIST = Rpc("auth", "signing_list", clients.ListSigning, clients.SigningKeys)
AUTH_SIGNING_ROTATE = Rpc("auth", "signing_rotate", clients.RotateSigning, clients.SigningKeys)
AUTH_USER_CREATE = Rpc("auth", "user_create", people.CreateUser, people.User)
AUTH_USER_LIST = Rpc("auth", "user_list", people.ListUsers, people.Users)
AUTH_USER_SET = Rpc("auth", "user_set", people.SetUser, people.User)
AUTH_USER_SET_PASSWORD = Rpc("auth", "user_set_password", people.SetPassword, answers.Done)
AUTH_PASSWORD_CHANGE = Rpc("auth", "password_change", people.ChangePassword, people.User)
AUTH_USER_SIGN_OUT = Rpc("auth", "user_sign_out", people.SignOutUser, answers.Done)
AUTH_USER_CHECK = Rpc("auth", "user_check", people.CheckUser, people.User)
AUTH_LINK_CREATE = Rpc("auth", "link_create", people.CreateLink, people.LinkCreated)
AUTH_LINK_USE = Rpc("auth", "link_use", people.UseLink, people.User)
AUTH_AUDIT_LIST = Rpc("auth", "audit_list", audit.ListAudit, audit.AuditLog)
AUTH_AUDIT_PAGE = Rpc("auth", "audit_page", audit.PageAudit, audit.AuditPage)

DISPATCHER_HELLO = Rpc("dispatcher", "hello", phones.OpenSession, phones.SessionOpened)
DISPATCHER_LEASE = Rpc("dispatcher", "lease", phones.Lease, phones.Leased)
DISPATCHER_TAKE = Rpc("dispatcher", "take", phones.TakeAttempts, phones.TakenAttempts)
DISPATCHER_RENEW = Rpc("dispatcher", "renew", phones.RenewSessions, phones.SessionsRenewed)
DISPATCHER_CLOSE = Rpc("dispatcher", "close", phones.CloseSession, answers.Done)
DISPATCHER_DEVICE_LIST = Rpc("dispatcher", "device_list", phones.ListDevices, phones.Devices)
DISPATCHER_DEVICE_NAMES = Rpc("dispatcher", "device_names", phones.NameDevices, phones.NamedDevices)
DISPATCHER_BUDGET_SET = Rpc("dispatcher", "budget_set", phones.SetBudget, answers.Done)
DISPATCHER_DEVICE_CHANGE = Rpc("dispatcher", "device_change", phones.ChangeDevice, answers.Done)
DISPATCHER_DEVICE_REMOVE = Rpc("dispatcher", "device_remove", phones.RemoveDevice, answers.Done)
DISPATCHER_APP_UPDATE = Rpc("dispatcher", "app_update", apps.UpdateApp, answers.Done)
DISPATCHER_APP_ATTACH = Rpc("dispatcher", "app_attach", apps.AttachApp, apps.AppAttached)
DISPATCHER_APP_PULL = Rpc("dispatcher", "app_pull", apps.PullWork, apps.Pulled)
DISPATCHER_APP_LOSE = Rpc("dispatcher", "app_lose", apps.LoseList, answers.Done)
DISPATCHER_APP_SIGNS = Rpc("dispatcher", "app_signs", apps.NoteSigns, answers.Done)
DISPATCHER_MESSAGE_SHOW = Rpc("dispatcher", "message_show", messages.ShowMessage, messages.MessageStory)
DISPATCHER_CANCEL = Rpc("dispatcher", "cancel", messages.CancelMessage, messages.CancelAnswer)
DISPATCHER_RESEND = Rpc("dispatcher", "resend", messages.ResendMessage, answers.Done)
DISPATCHER_DELETE = Rpc("dispatcher", "delete", messages.DeleteMessages, messages.Deleted)
DISPATCHER_MARK_READ = Rpc("dispatcher", "mark_read", messages.MarkRead, answers.Done)
DISPATCHER_MARK_SEEN = Rpc("dispatcher", "mark_seen", messages.MarkSeen, answers.Done)
DISPATCHER_ATTENTION = Rpc("dispatcher", "attention", messages.ListAttention, messages.Attention)
DISPATCHER_RETENTION = Rpc("dispatcher", "retention", retention.AskRetention, retention.Retention)
DISPATCHER_DEAD_LIST = Rpc("dispatcher", "dead_list", messages.ListDead, messages.DeadLetters)
DISPATCHER_DEAD_REPLAY = Rpc("dispatcher", "dead_replay", messages.ReplayDead, answers.Done)
DISPATCHER_CAMPAIGN_CREATE = Rpc("dispatcher", "campaign_create", campaigns.CreateCampaign, campaigns.CampaignShown)
DISPATCHER_CAMPAIGN_ADD = Rpc("dispatcher", "campaign_add", campaigns.AddRows, campaigns.RowsAdded)
DISPATCHER_CAMPAIGN_START = Rpc("dispatcher", "campaign_start", campaigns.StartCampaign, campaigns.CampaignShown)
DISPATCHER_CAMPAIGN_LIST = Rpc("dispatcher", "campaign_list", campaigns.ListCampaigns, campaigns.Campaigns)
DISPATCHER_CAMPAIGN_PAUSE = Rpc("dispatcher", "campaign_pause", campaigns.PauseCampaign, campaigns.CampaignShown)
DISPATCHER_CAMPAIGN_RESUME = Rpc("dispatcher", "campaign_resume", campaigns.ResumeCampaign, campaigns.CampaignShown)
DISPATCHER_CAMPAIGN_CANCEL = Rpc("dispatcher", "campaign_cancel", campaigns.CancelCampaign, campaigns.CampaignShown)

WEBHOOKS_ENDPOINT_CREATE = Rpc("webhooks", "endpoint_create", webhooks.CreateEndpoint, webhooks.EndpointCreated)
WEBHOOKS_ENDPOINT_LIST = Rpc("webhooks", "endpoint_list", webhooks.ListEndpoints, webhooks.Endpoints)
WEBHOOKS_ENDPOINT_UPDATE = Rpc("webhooks", "endpoint_update", webhooks.UpdateEndpoint, webhooks.EndpointShown)
WEBHOOKS_ENDPOINT_DELETE = Rpc("webhooks", "endpoint_delete", webhooks.DeleteEndpoint, answers.Done)
WEBHOOKS_ENDPOINT_PAUSE = Rpc("webhooks", "endpoint_pause", webhooks.PauseEndpoint, webhooks.EndpointShown)
WEBHOOKS_ENDPOINT_ENABLE = Rpc("webhooks", "endpoint_enable", webhooks.EnableEndpoint, webhooks.EndpointShown)
WEBHOOKS_ENDPOINT_TEST = Rpc("webhooks", "endpoint_test", webhooks.TryEndpoint, webhooks.EndpointTried)
WEBHOOKS_SECRET_ROTATE = Rpc("webhooks", "secret_rotate", webhooks.RotateSecret, webhooks.SecretRotated)
WEBHOOKS_DELIVERY_LIST = Rpc("webhooks", "delivery_list", deliveries.ListDeliveries, deliveries.Deliveries)
WEBHOOKS_ATTEMPT_LIST = Rpc("webhooks", "attempt_list", deliveries.ListAttempts, deliveries.Attempts)
WEBHOOKS_REPLAY_CREATE = Rpc("webhooks", "replay_create", deliveries.CreateReplay, deliveries.ReplayCreated)
WEBHOOKS_REPLAY_LIST = Rpc("webhooks", "replay_list", deliveries.ListReplays, deliveries.Replays)
WEBHOOKS_REPLAY_CANCEL = Rpc("webhooks", "replay_cancel", deliveries.CancelReplay, deliveries.ReplayShown)
WEBHOOKS_EVENT_PAGE = Rpc("webhooks", "event_page", deliveries.PageEvents, deliveries.EventPage)
WEBHOOKS_RETENTION = Rpc("webhooks", "retention", retention.AskRetention, retention.Retention)


def wake_subject(device: str) -> str:
    """Core NATS: there may be work for this phone; heard by whichever gateway holds it."""
    return f"phone.wake.{device}"


ALL_WAKES = wake_subject("*")


def ask_back_subject(device: str) -> str:
    """Core NATS: this phone's attempt (the message's whole content) is no longer wanted."""
    return f"phone.ask_back.{device}"


def settings_subject(device: str) -> str:
    """Core NATS: what this app phone is told by its settings has changed."""
    return f"phone.settings.{device}"


def asked_subject(device: str) -> str:
    """Core NATS: an app phone is asking another gateway for its list."""
    return f"phone.asked.{device}"


def pulled_subject(device: str) -> str:
    """Core NATS: it has got its list there (the message's content: the new attempts in it)."""
    return f"phone.pulled.{device}"


def lost_subject(device: str) -> str:
    """Core NATS: it has hung up on its list there, which waits to be asked for again."""
    return f"phone.lost.{device}"


def spoke_subject(device: str) -> str:
    """Core NATS: an app phone has told another gateway of this attempt (the message's whole content)."""
    return f"phone.spoke.{device}"


ALL_ASKED = asked_subject("*")
ALL_PULLS = pulled_subject("*")
ALL_LOST = lost_subject("*")
ALL_SPOKEN = spoke_subject("*")


def all_subjects(device: str) -> str:
    """Core NATS: whatever is said about one phone."""
    return f"phone.*.{device}"


ALL_SUBJECTS = all_subjects("*")


ALL_ASK_BACKS = ask_back_subject("*")
ALL_SETTINGS = settings_subject("*")


def live_subject(account: int) -> str:
    """Core NATS: something that pages of this account show has changed (the content: contracts.live.Hints)."""
    return f"live.{account}"


ALL_LIVE = "live.*"


def inbox_prefix(role: str) -> str:
    """Where the answers to this role's questions arrive; no other role may listen there."""
    return f"_INBOX_{role}"


def contracts() -> dict[str, Any]:
    """Every rpc of the system by subject (for documents and tests)."""
    return {value.subject: value for value in globals().values() if isinstance(value, Rpc)}
