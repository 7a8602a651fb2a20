"""Questions about endpoints that only webhooks can answer: made, changed, paused, tried out, and how they fare.

Times are Unix seconds. Whatever names another account's endpoint is answered with NotFound.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Format = Literal["classic", "v2"]
EndpointState = Literal["enabled", "paused", "disabled"]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events an endpoint gets: those that pass each list. An empty list lets everything pass.

    `types` empty: the format's default (classic: sms.received; v2: the contract's types). `numbers` are those of the
    other side, as in the log; an event that has no device, SIM or number does not pass a list of them.
    """

    types: list[str] = msgspec.field(default_factory=list)
    devices: list[str] = msgspec.field(default_factory=list)
    sims: list[int] = msgspec.field(default_factory=list)
    numbers: list[str] = msgspec.field(default_factory=list)


class ClassicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the commercial service's own captures (contract: SMSMobileAPI section 3).

    `number_format`: `plain` without + or `plus`. `time_format` of `time_received`: `digits` (17 of them) or `text`
    (YYYY-MM-DD HH:MM:SS). `time_zone`: an IANA name for all times; None: UTC, and the phone's own for `time_received`.
    """

    number_format: Literal["plain", "plus"] = "plain"
    time_format: Literal["digits", "text"] = "digits"
    time_zone: str | None = None


class BasicAuth(msgspec.Struct, frozen=True, kw_only=True, tag="basic"):
    """The endpoint asks for user and password (RFC 7617)."""

    user: str
    password: str


class BearerAuth(msgspec.Struct, frozen=True, kw_only=True, tag="bearer"):
    """The endpoint asks for a token (RFC 6750)."""

    token: str


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint as people see it; of custom headers and authentication only what is no secret.

    `reason` says why it is paused or disabled. `window`: deliveries that may be under way at once; 0: the breaker is
    open and only probes go out, the next one at `probe_at`. `failing_since`: no success since then. `lag_s`: age of the
    oldest undelivered event. `last_error`: the class of failure (Attempt.error), a colon, and what is known of it. The
    counts are since the endpoint was made; `failures` counts attempts, the others deliveries.
    """

    id: str
    account: int
    url: str
    format: Format
    description: str
    enabled: bool
    created_at: float
    state: EndpointState = "enabled"
    reason: str | None = None
    state_since: float | None = None
    filter: Filter = msgspec.field(default_factory=Filter)
    classic: ClassicSettings = msgspec.field(default_factory=ClassicSettings)
    header_names: list[str] = msgspec.field(default_factory=list)
    auth: Literal["basic", "bearer"] | None = None
    signing_secrets: int = 0
    max_window: int = 32
    window: int = 0
    probe_at: float | None = None
    failing_since: float | None = None
    last_success_at: float | None = None
    last_failure_at: float | None = None
    last_error: str | None = None
    lag_s: float | None = None
    pending: int = 0
    delivered: int = 0
    exhausted: int = 0
    expired: int = 0
    canceled: int = 0
    failures: int = 0


class CreateEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_create.v1"):
    """A webhook URL of an account. `secret` None: a new one is made.

    A secret of its owner's is `whsec_` and base64 of 24 to 64 bytes, or 16 to 128 printable ASCII characters.
    Refused with `invalid_url` for a URL that is not http(s) or may not be called, and with `invalid_description`,
    `invalid_filter`, `invalid_classic`, `invalid_headers`, `invalid_auth`, `invalid_secret`, `invalid_window`.
    """

    account: int
    url: str
    format: Format = "classic"
    description: str = ""
    filter: Filter = msgspec.field(default_factory=Filter)
    classic: ClassicSettings = msgspec.field(default_factory=ClassicSettings)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    auth: BasicAuth | BearerAuth | None = None
    secret: str | None = None
    max_window: int = 32


class EndpointCreated(msgspec.Struct, frozen=True, tag="endpoint_created"):
    """The new endpoint; its signing secret is shown here and when it is rotated, never again."""

    endpoint: Endpoint
    secret: str = ""


class UpdateEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_update.v1"):
    """Change what is set and leave the rest; refused as CreateEndpoint is. Deliveries made already keep their body."""

    account: int
    id: str
    url: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET
    classic: ClassicSettings | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    auth: BasicAuth | BearerAuth | UnsetType | None = UNSET
    max_window: int | UnsetType = UNSET


class EndpointShown(msgspec.Struct, frozen=True, tag="endpoint_shown"):
    """An endpoint after a change."""

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


class PauseEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_pause.v1"):
    """Send nothing until it is enabled; its events are kept for it. What is under way ends as it would."""

    account: int
    id: str
    reason: str = ""


class EnableEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_enable.v1"):
    """Send again, with a slow start: also closes an open breaker. No error when it is enabled already."""

    account: int
    id: str


class RotateSecret(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.secret_rotate.v1"):
    """A new signing secret; older ones sign too for `overlap_s` seconds (0 to 604,800), 0: they end at once."""

    account: int
    id: str
    secret: str | None = None
    overlap_s: int = 86_400


class SecretRotated(msgspec.Struct, frozen=True, kw_only=True, tag="secret_rotated"):
    """The secret is shown here and never again; `older_until`: when the last older one ends."""

    secret: str
    older_until: float | None


class TryEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_test.v1"):
    """Post an example event now, once, whatever the endpoint's state and filter; nothing is kept of it.

    `event_type`: `ping`, or one that the format can tell (`invalid_event_type` otherwise). Ask with a timeout of 20 s.
    """

    account: int
    id: str
    event_type: str = "ping"


class EndpointTried(msgspec.Struct, frozen=True, kw_only=True, tag="endpoint_tried"):
    """What was sent (credentials left out) and what came of it; `error` None: it was a success."""

    url: str
    request_headers: dict[str, str]
    body: str
    status: int | None
    error: str | None
    detail: str | None
    duration_ms: int
    response_head: str
