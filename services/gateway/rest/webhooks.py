"""/v1/webhooks: endpoints made, changed, stopped, tried out and ended. What each part means: docs/webhooks.md."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.spec import Example
from litestar.params import Body, JSONBody, PathParameter
from msgspec import UNSET, Meta, UnsetType

from services.gateway.rest.document import NO_SUCH
from services.gateway.rest.routes import PREFIX, RestRequest, Rpc, account_of
from services.gateway.scopes import OPT
from shared.contracts import registry
from shared.contracts.rpc import webhooks as contract
from shared.errors import NotFound

Told = TypeVar("Told")

NEED: Final = {OPT: "webhooks:manage"}
TAGS: Final = ["Webhooks"]
TRY_S: Final = 20.0
"""How long the post of an example may take, in seconds."""

_URL: Final = "https://example.com/sms"
_ID: Final = "wh_4fGkQ2aYx9Zb"


class Filter(contract.Filter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events go there: those that pass each list. An empty list lets everything pass."""

    types: Annotated[list[str], Meta(examples=[["sms.received"]])] = msgspec.field(default_factory=list)
    sims: list[Annotated[int, Meta(ge=1, le=8)]] = msgspec.field(default_factory=list)


class Classic(contract.ClassicSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the classic form writes numbers and times."""


class Basic(contract.BasicAuth, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver asks for user and password (RFC 7617)."""


class Bearer(contract.BearerAuth, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver asks for a token (RFC 6750)."""


WebhookId = Annotated[str, PathParameter(description="The webhook's id, wh_ and 12 characters.")]
Window = Annotated[int, Meta(ge=1, le=32, description="How many deliveries may be under way to it at once.")]
Secret = Annotated[str, Meta(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook to be. Without a `secret` one is made."""

    url: Annotated[str, Meta(examples=[_URL])]
    format: contract.Format = "classic"
    description: str = ""
    filter: Filter = msgspec.field(default_factory=Filter)
    classic: Classic = msgspec.field(default_factory=Classic)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    auth: Basic | Bearer | None = None
    secret: Secret | None = None
    max_window: Window = 32


class WebhookChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given is changed as a whole, what is not given stays."""

    url: Annotated[str, Meta(examples=[_URL])] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET
    classic: Classic | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    auth: Basic | Bearer | UnsetType | None = UNSET
    max_window: Window | UnsetType = UNSET


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and how it fares; of its headers and its authentication only what is no secret."""

    id: Annotated[str, Meta(examples=[_ID])]
    url: Annotated[str, Meta(examples=[_URL])]
    format: contract.Format
    description: str
    created_at: datetime
    state: contract.EndpointState
    reason: str | None
    state_since: datetime | None
    filter: Filter
    classic: Classic
    header_names: list[str]
    auth: Literal["basic", "bearer"] | None
    signing_secrets: int
    max_window: int
    window: int
    probe_at: datetime | None
    failing_since: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error: str | None
    lag_s: float | None
    pending: int
    delivered: int
    exhausted: int
    expired: int
    canceled: int
    failures: int


class WebhookMade(Webhook, frozen=True, kw_only=True):
    """The new webhook with its signing secret, which is shown here and when it is rotated, never again."""

    secret: Secret


class WebhookList(msgspec.Struct, frozen=True):
    """The account's webhooks in order of creation."""

    webhooks: list[Webhook]


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is paused, for people."""

    reason: str = ""


class Try(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The type of the example; `ping` is one that the webhook's form can tell."""

    event_type: Annotated[str, Meta(examples=["sms.received"])] = "ping"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent, credentials left out, and what came of it; `error` null: it was a success."""

    url: str
    request_headers: dict[str, str]
    body: str
    status: int | None
    error: str | None
    detail: str | None
    duration_ms: int
    response_head: str


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new secret, or one is made; the older ones sign too for `overlap_s` seconds, 0: they end at once."""

    secret: Secret | None = None
    overlap_s: Annotated[int, Meta(ge=0, le=7 * 86_400)] = 86_400


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The new signing secret, shown only here; `older_until`: when the last older one ends."""

    secret: Secret
    older_until: datetime | None


@post("/webhooks", opt=NEED, tags=TAGS, summary="Make a webhook")
async def make(
    request: RestRequest,
    rpc: Rpc,
    data: Annotated[
        NewWebhook,
        Body(examples=[Example(value={"url": _URL, "format": "v2", "filter": {"types": ["sms.received"]}})]),
    ],
) -> Response[WebhookMade]:
    """The answer holds the signing secret. It is shown then, and never again."""
    question = contract.CreateEndpoint(account=account_of(request), **msgspec.structs.asdict(data))
    made = await rpc.ask(registry.WEBHOOKS_ENDPOINT_CREATE, question)
    told = msgspec.structs.asdict(_shown(made.endpoint)) | {"secret": made.secret}
    return Response(WebhookMade(**told), headers={"Location": f"{PREFIX}/webhooks/{made.endpoint.id}"})


@get("/webhooks", opt=NEED, tags=TAGS, summary="List webhooks")
async def webhooks(request: RestRequest, rpc: Rpc) -> WebhookList:
    """The account's webhooks in order of creation, and how they fare."""
    found = await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, contract.ListEndpoints(account=account_of(request)))
    return WebhookList([_shown(each) for each in found.endpoints])


@get("/webhooks/{id:str}", opt=NEED, tags=TAGS, summary="Show a webhook", responses=NO_SUCH)
async def webhook(request: RestRequest, rpc: Rpc, id: WebhookId) -> Webhook:
    """One webhook, and how it fares."""
    question = contract.ListEndpoints(account=account_of(request), id=known(id))
    return _shown((await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, question)).endpoints[0])


@patch("/webhooks/{id:str}", opt=NEED, tags=TAGS, summary="Change a webhook", responses=NO_SUCH)
async def change(request: RestRequest, rpc: Rpc, id: WebhookId, data: JSONBody[WebhookChanges]) -> Webhook:
    """Changes what is given. Deliveries that were made already keep their body."""
    wish = msgspec.structs.asdict(data)
    question = contract.UpdateEndpoint(account=account_of(request), id=known(id), **wish)
    return _shown((await rpc.ask(registry.WEBHOOKS_ENDPOINT_UPDATE, question)).endpoint)


@delete("/webhooks/{id:str}", opt=NEED, tags=TAGS, summary="End a webhook", responses=NO_SUCH)
async def end(request: RestRequest, rpc: Rpc, id: WebhookId) -> None:
    """Ends it with what it has not delivered."""
    question = contract.DeleteEndpoint(account=account_of(request), id=known(id))
    await rpc.ask(registry.WEBHOOKS_ENDPOINT_DELETE, question)


@post("/webhooks/{id:str}/test", opt=NEED, tags=TAGS, status_code=200, summary="Post an example", responses=NO_SUCH)
async def attempt(request: RestRequest, rpc: Rpc, id: WebhookId, data: JSONBody[Try | None] = None) -> Tried:
    """Posts an example event now, once, whatever the webhook's state and filter. Nothing is kept of it."""
    wish = data or Try()
    question = contract.TryEndpoint(account=account_of(request), id=known(id), event_type=wish.event_type)
    return converted(Tried, await rpc.ask(registry.WEBHOOKS_ENDPOINT_TEST, question, TRY_S))


@post("/webhooks/{id:str}/pause", opt=NEED, tags=TAGS, status_code=200, summary="Pause a webhook", responses=NO_SUCH)
async def pause(request: RestRequest, rpc: Rpc, id: WebhookId, data: JSONBody[Pause | None] = None) -> Webhook:
    """Sends nothing until it is enabled; its events are kept for it. What is under way ends as it would."""
    wish = data or Pause()
    question = contract.PauseEndpoint(account=account_of(request), id=known(id), reason=wish.reason)
    return _shown((await rpc.ask(registry.WEBHOOKS_ENDPOINT_PAUSE, question)).endpoint)


@post("/webhooks/{id:str}/enable", opt=NEED, tags=TAGS, status_code=200, summary="Enable a webhook", responses=NO_SUCH)
async def enable(request: RestRequest, rpc: Rpc, id: WebhookId) -> Webhook:
    """Sends again, with a slow start; also where its breaker is open. No error when it is enabled already."""
    question = contract.EnableEndpoint(account=account_of(request), id=known(id))
    return _shown((await rpc.ask(registry.WEBHOOKS_ENDPOINT_ENABLE, question)).endpoint)


@post("/webhooks/{id:str}/rotate", opt=NEED, tags=TAGS, status_code=200, summary="Replace a secret", responses=NO_SUCH)
async def rotate(request: RestRequest, rpc: Rpc, id: WebhookId, data: JSONBody[Rotation | None] = None) -> Rotated:
    """A new signing secret, which the older ones overlap for a while. It is shown here, and never again."""
    wish = msgspec.structs.asdict(data or Rotation())
    question = contract.RotateSecret(account=account_of(request), id=known(id), **wish)
    return converted(Rotated, await rpc.ask(registry.WEBHOOKS_SECRET_ROTATE, question))


HANDLERS: Final = (make, webhooks, webhook, change, end, attempt, pause, enable, rotate)


def known(id: str) -> str:
    """An id that there may be. Raises NotFound for any other, which the owner is not asked about."""
    if len(id) > 64 or not id.isascii() or not id.replace("_", "").isalnum():
        raise NotFound
    return id


def converted(kind: type[Told], answer: msgspec.Struct | dict[str, Any]) -> Told:
    """What the owner answered, with times as RFC 3339 writes them."""
    return msgspec.convert(answer, kind, from_attributes=True, strict=False)


def _shown(endpoint: contract.Endpoint) -> Webhook:
    return converted(Webhook, endpoint)
