"""What each role may say and hear on NATS: made from the registry, deny by default, the same wherever it runs."""

from collections.abc import Iterator
from typing import Any

from shared.contracts import registry
from shared.contracts.registry import Durable, Rpc, Stream, inbox_prefix

SERVICES = ("gateway", "dispatcher", "webhooks", "auth")

OPERATOR, PROVISION = "cli", "provision"
"""Who runs commands, and who makes streams and consumers."""

ROLES = (PROVISION, *SERVICES, OPERATOR)

ASKS: dict[str, tuple[Rpc[Any, Any], ...]] = {
    "gateway": (
        registry.AUTH_VERIFY,
        registry.AUTH_ENROL,
        registry.AUTH_TOKEN_ISSUE,
        registry.AUTH_TOKEN_INTROSPECT,
        registry.AUTH_TOKEN_REVOKE,
        registry.AUTH_TRUST,
        registry.AUTH_USER_CHECK,
        registry.AUTH_USER_SIGN_OUT,
        registry.AUTH_LINK_CREATE,
        registry.AUTH_LINK_USE,
        registry.AUTH_PASSWORD_CHANGE,
        registry.AUTH_USER_CREATE,
        registry.AUTH_USER_LIST,
        registry.AUTH_USER_SET,
        registry.AUTH_USER_SET_PASSWORD,
        registry.AUTH_KEY_CREATE,
        registry.AUTH_KEY_LIST,
        registry.AUTH_KEY_ROTATE,
        registry.AUTH_KEY_REVOKE,
        registry.AUTH_CLIENT_CREATE,
        registry.AUTH_CLIENT_LIST,
        registry.AUTH_CLIENT_ROTATE,
        registry.AUTH_CLIENT_REVOKE,
        registry.AUTH_DEVICE_REVOKE,
        registry.AUTH_ENROLMENT_CREATE,
        registry.AUTH_ENROLMENT_LIST,
        registry.AUTH_ENROLMENT_REVOKE,
        registry.AUTH_ACCOUNT_SHOW,
        registry.AUTH_SETTINGS_SET,
        registry.AUTH_AUDIT_PAGE,
        registry.DISPATCHER_HELLO,
        registry.DISPATCHER_LEASE,
        registry.DISPATCHER_TAKE,
        registry.DISPATCHER_RENEW,
        registry.DISPATCHER_CLOSE,
        registry.DISPATCHER_APP_UPDATE,
        registry.DISPATCHER_APP_ATTACH,
        registry.DISPATCHER_APP_PULL,
        registry.DISPATCHER_APP_LOSE,
        registry.DISPATCHER_APP_SIGNS,
        registry.DISPATCHER_DEVICE_LIST,
        registry.DISPATCHER_DEVICE_NAMES,
        registry.DISPATCHER_DEVICE_CHANGE,
        registry.DISPATCHER_DEVICE_REMOVE,
        registry.DISPATCHER_BUDGET_SET,
        registry.DISPATCHER_ATTENTION,
        registry.DISPATCHER_MESSAGE_SHOW,
        registry.DISPATCHER_CANCEL,
        registry.DISPATCHER_RESEND,
        registry.DISPATCHER_DELETE,
        registry.DISPATCHER_MARK_READ,
        registry.DISPATCHER_MARK_SEEN,
        registry.DISPATCHER_RETENTION,
        registry.WEBHOOKS_ENDPOINT_CREATE,
        registry.WEBHOOKS_ENDPOINT_LIST,
        registry.WEBHOOKS_ENDPOINT_UPDATE,
        registry.WEBHOOKS_ENDPOINT_DELETE,
        registry.WEBHOOKS_ENDPOINT_PAUSE,
        registry.WEBHOOKS_ENDPOINT_ENABLE,
        registry.WEBHOOKS_ENDPOINT_TEST,
        registry.WEBHOOKS_SECRET_ROTATE,
        registry.WEBHOOKS_DELIVERY_LIST,
        registry.WEBHOOKS_ATTEMPT_LIST,
        registry.WEBHOOKS_REPLAY_CREATE,
        registry.WEBHOOKS_REPLAY_LIST,
        registry.WEBHOOKS_REPLAY_CANCEL,
        registry.WEBHOOKS_EVENT_PAGE,
        registry.WEBHOOKS_RETENTION,
    ),
}
"""Which questions a service asks; the operator asks all. A test compares it with the services' code."""

FILLS: dict[str, tuple[Stream, ...]] = {
    "gateway": (registry.COMMANDS, registry.REPORTS),
    # Its relay fills EVENTS; a dead letter goes back to the stream that it came from.
    "dispatcher": registry.STREAMS,
}
"""Which streams a service publishes to."""

TELLS: dict[str, tuple[str, ...]] = {
    "gateway": (registry.ALL_ASKED, registry.ALL_PULLS, registry.ALL_LOST, registry.ALL_SPOKEN),
    "dispatcher": (registry.ALL_WAKES, registry.ALL_ASK_BACKS, registry.ALL_SETTINGS, registry.ALL_LIVE),
    "auth": tuple(registry.BROADCASTS),
}
"""What a service says on core NATS to whoever listens."""

HEARS: dict[str, tuple[str, ...]] = {
    "gateway": (registry.ALL_SUBJECTS, registry.ALL_LIVE, *registry.BROADCASTS),
    "auth": tuple(registry.BROADCASTS),
}
"""What a service listens to on core NATS."""


def permissions(role: str) -> dict[str, Any]:
    """The role's permissions as the configuration of nats-server writes them."""
    answered = list(_answered(role))
    told: dict[str, Any] = {
        "publish": {"allow": sorted(_publishes(role))},
        # With the queue group's name: outside its group a service hears no question.
        "subscribe": {
            "allow": sorted(
                [
                    f"{inbox_prefix(role)}.>",
                    *HEARS.get(role, ()),
                    *(f"{each.subject} {each.service}" for each in answered),
                ]
            )
        },
    }
    if answered:
        # One answer to each question that was heard, and only to who asked it.
        told["allow_responses"] = {"max": 1, "expires": "1m"}
    return told


def durables(role: str) -> list[Durable]:
    """The consumers that are this service's own."""
    return [durable for durable in registry.DURABLES if durable.service == role]


def _answered(role: str) -> list[Rpc[Any, Any]]:
    return [each for each in registry.contracts().values() if each.service == role]


def _publishes(role: str) -> Iterator[str]:
    if role == OPERATOR:
        yield from registry.contracts()
    if role == PROVISION:
        yield from _provisioning()
    yield from (each.subject for each in ASKS.get(role, ()))
    yield from TELLS.get(role, ())
    for stream in FILLS.get(role, ()):
        yield from stream.subjects
    if role == "gateway":
        # Which id a caller's key stands for, and how old the oldest command is.
        yield registry.IDEMPOTENCY.subject(">")
        yield f"$JS.API.STREAM.MSG.GET.{registry.IDEMPOTENCY.stream}"
        yield f"$JS.API.STREAM.INFO.{registry.COMMANDS.name}"
    for durable in durables(role):
        place = f"{durable.stream.name}.{durable.name}"
        yield f"$JS.API.CONSUMER.INFO.{place}"
        yield f"$JS.API.CONSUMER.MSG.NEXT.{place}"
        yield f"$JS.ACK.{place}.>"
        # The second shape names domain and account first; servers will change over to it.
        yield f"$JS.ACK.*.*.{place}.>"


def _provisioning() -> Iterator[str]:
    """Makes and changes what the registry declares. Nobody deletes or purges."""
    yield "$JS.API.INFO"
    for name in (*(each.name for each in registry.STREAMS), *(each.stream for each in registry.BUCKETS)):
        for verb in ("INFO", "CREATE", "UPDATE"):
            yield f"$JS.API.STREAM.{verb}.{name}"
    for durable in registry.DURABLES:
        place = f"{durable.stream.name}.{durable.name}"
        yield f"$JS.API.CONSUMER.DURABLE.CREATE.{place}"
