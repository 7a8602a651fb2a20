"""/v1/deliveries and replays: what became of each event, with every attempt, and events sent once more."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter, QueryParameter
from msgspec import Meta

from services.gateway.rest.document import CONFLICT, NO_SUCH
from services.gateway.rest.routes import PREFIX, RestRequest, Rpc, account_of
from services.gateway.rest.webhooks import NEED, TAGS, WebhookId, converted, known
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc import deliveries as contract
from shared.contracts.rpc.webhooks import ListEndpoints
from shared.errors import Conflict, NotFound

MAX_ID: Final = 2**63 - 1
REPLAY_S: Final = 15.0
"""How long the events of a replay may take to be counted, in seconds."""

DeliveryId = Annotated[int, PathParameter(description="The delivery's number.")]
ReplayId = Annotated[str, PathParameter(description="The replay's id, rp_ and 16 characters.")]
Moment = Annotated[datetime, Meta(tz=True, examples=["2026-11-22T10:00:00Z"])]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one webhook. `attempts` counts those of its ten that are used up, `tries` all posts of it."""

    id: Annotated[int, Meta(examples=[1071])]
    event: Annotated[str, Meta(examples=["0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c50"])]
    endpoint: Annotated[str, Meta(examples=["wh_4fGkQ2aYx9Zb"])]
    type: Annotated[str, Meta(examples=["sms.received"])]
    state: contract.DeliveryState
    lane: contract.Lane
    attempts: int
    tries: int
    created_at: datetime
    next_attempt_at: datetime | None
    ended_at: datetime | None
    last_error: str | None
    replay: str | None


class DeliveryList(msgspec.Struct, frozen=True):
    """Deliveries, newest first."""

    deliveries: list[Delivery]


class Header(msgspec.Struct, frozen=True):
    """A header of an answer."""

    name: str
    value: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One post and its answer. `error` is its class of failure; the phases are null where they did not happen."""

    number: int
    outcome: Literal["running", "delivered", "failed", "unknown"]
    started_at: datetime
    duration_ms: int | None
    status: int | None
    error: str | None
    detail: str | None
    dns_ms: int | None
    connect_ms: int | None
    tls_ms: int | None
    first_byte_ms: int | None
    remote_address: str | None
    response_headers: list[Header]
    response_head: str


class AttemptList(msgspec.Struct, frozen=True):
    """The delivery, the body of each post of it, and its posts, newest first."""

    delivery: Delivery
    body: str
    attempts: list[Attempt]


class NewReplay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events are sent once more: those that pass each rule. `missing`: the webhook never had a delivery of it."""

    events: list[str] = msgspec.field(default_factory=list)
    since: Moment | None = None
    until: Moment | None = None
    types: list[str] = msgspec.field(default_factory=list)
    states: list[contract.Replayable] = msgspec.field(
        default_factory=lambda: ["delivered", "exhausted", "expired", "canceled", "missing"]
    )
    dry_run: bool = False


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay is. Of the `matched` events `queued` have become deliveries, and `skipped` never can."""

    id: Annotated[str, Meta(examples=["rp_8c7d9e0f1a2b3c50"])]
    endpoint: str
    state: contract.ReplayState
    matched: int
    queued: int
    skipped: int
    delivered: int
    exhausted: int
    canceled: int
    created_at: datetime
    ended_at: datetime | None


class ReplayMade(msgspec.Struct, frozen=True):
    """How many events match; `replay` null: they were only counted."""

    matched: int
    replay: Replay | None


class ReplayList(msgspec.Struct, frozen=True):
    """Replays, newest first, at most 100."""

    replays: list[Replay]


@get("/webhooks/{id:str}/deliveries", opt=NEED, tags=TAGS, summary="List deliveries", responses=NO_SUCH)
async def deliveries(
    request: RestRequest,
    rpc: Rpc,
    id: WebhookId,
    event: Annotated[str | None, QueryParameter(description="Only of this event.")] = None,
    states: Annotated[
        list[contract.DeliveryState] | None, QueryParameter(description="Only in these states; repeat it for more.")
    ] = None,
    before: Annotated[
        int | None, QueryParameter(ge=0, le=MAX_ID, description="Only older ones than this delivery.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="How many at most.")] = 100,
) -> DeliveryList:
    """What became of the events that went to a webhook, newest first; also to one that has ended."""
    account, endpoint = account_of(request), known(id)
    question = contract.ListDeliveries(
        account=account, endpoint=endpoint, event=event, states=states or [], before=before, limit=limit
    )
    found = await rpc.ask(registry.WEBHOOKS_DELIVERY_LIST, question)
    if not found.deliveries:
        await _check(rpc, account, endpoint)
    return converted(DeliveryList, found)


@get("/deliveries/{id:int}/attempts", opt=NEED, tags=TAGS, summary="List attempts", responses=NO_SUCH)
async def attempts(
    request: RestRequest,
    rpc: Rpc,
    id: DeliveryId,
    number: Annotated[
        int | None, QueryParameter(ge=1, le=2**31 - 1, description="Only this one, with 16 KiB of its answer.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")] = 50,
) -> AttemptList:
    """A delivery with its posts, newest first, and the first 2 KiB of each answer."""
    question = contract.ListAttempts(account=account_of(request), delivery=_numbered(id), number=number, limit=limit)
    found = await rpc.ask(registry.WEBHOOKS_ATTEMPT_LIST, question)
    return AttemptList(
        converted(Delivery, found.delivery),
        found.body.decode(errors="replace"),
        [_attempt(each) for each in found.attempts],
    )


@post(
    "/deliveries/{id:int}/replay", opt=NEED, tags=TAGS, summary="Deliver one event again", responses=NO_SUCH | CONFLICT
)
async def again(request: RestRequest, rpc: Rpc, id: DeliveryId) -> Response[Replay]:
    """Sends the event of a delivery that has ended to its webhook once more."""
    account = account_of(request)
    asked = contract.ListAttempts(account=account, delivery=_numbered(id), limit=1)
    delivery = (await rpc.ask(registry.WEBHOOKS_ATTEMPT_LIST, asked)).delivery
    if delivery.state == "pending":
        raise Conflict("This delivery has not ended.", code="delivery_pending")
    question = contract.CreateReplay(account=account, endpoint=delivery.endpoint, events=[delivery.event])
    made = await rpc.ask(registry.WEBHOOKS_REPLAY_CREATE, question, REPLAY_S)
    assert made.replay is not None
    return Response(converted(Replay, made.replay), headers=_location(made.replay))


@post(
    "/webhooks/{id:str}/replays",
    opt=NEED,
    tags=TAGS,
    summary="Deliver events again",
    responses=NO_SUCH | CONFLICT | {200: ResponseSpec(ReplayMade, description="Counted.", generate_examples=False)},
)
async def replay(
    request: RestRequest,
    rpc: Rpc,
    id: WebhookId,
    data: Annotated[
        NewReplay, Body(examples=[Example(value={"states": ["exhausted", "expired", "missing"], "dry_run": True})])
    ],
) -> Response[ReplayMade]:
    """Sends events once more, each under its own id, behind live ones. `dry_run`: only counts them, and answers 200."""
    question = contract.CreateReplay(
        account=account_of(request),
        endpoint=known(id),
        events=data.events,
        since=data.since.timestamp() if data.since else None,
        until=data.until.timestamp() if data.until else None,
        types=data.types,
        states=data.states,
        dry_run=data.dry_run,
    )
    made = await rpc.ask(registry.WEBHOOKS_REPLAY_CREATE, question, REPLAY_S)
    told = converted(ReplayMade, made)
    return Response(told, status_code=200) if made.replay is None else Response(told, headers=_location(made.replay))


@get("/webhooks/{id:str}/replays", opt=NEED, tags=TAGS, summary="List replays", responses=NO_SUCH)
async def replays(request: RestRequest, rpc: Rpc, id: WebhookId) -> ReplayList:
    """A webhook's replays and how far they are, newest first."""
    account, endpoint = account_of(request), known(id)
    found = await rpc.ask(registry.WEBHOOKS_REPLAY_LIST, contract.ListReplays(account=account, endpoint=endpoint))
    if not found.replays:
        await _check(rpc, account, endpoint)
    return converted(ReplayList, found)


@get("/webhooks/{id:str}/replays/{replay_id:str}", opt=NEED, tags=TAGS, summary="Show a replay", responses=NO_SUCH)
async def one_replay(request: RestRequest, rpc: Rpc, id: WebhookId, replay_id: ReplayId) -> Replay:
    """How far a replay is."""
    return await _replay(rpc, account_of(request), id, replay_id)


@delete(
    "/webhooks/{id:str}/replays/{replay_id:str}",
    opt=NEED,
    tags=TAGS,
    status_code=200,
    summary="Cancel a replay",
    responses=NO_SUCH | CONFLICT,
)
async def cancel(request: RestRequest, rpc: Rpc, id: WebhookId, replay_id: ReplayId) -> Replay:
    """Stops it: what has not been delivered again goes back to what it was before."""
    account = account_of(request)
    found = await _replay(rpc, account, id, replay_id)
    question = contract.CancelReplay(account=account, id=found.id)
    return converted(Replay, (await rpc.ask(registry.WEBHOOKS_REPLAY_CANCEL, question)).replay)


HANDLERS: Final = (deliveries, attempts, again, replay, replays, one_replay, cancel)


def _numbered(id: int) -> int:
    if not 0 <= id <= MAX_ID:
        raise NotFound
    return id


async def _replay(rpc: RpcClient, account: int, endpoint: str, id: str) -> Replay:
    question = contract.ListReplays(account=account, endpoint=known(endpoint), id=known(id))
    return converted(Replay, (await rpc.ask(registry.WEBHOOKS_REPLAY_LIST, question)).replays[0])


async def _check(rpc: RpcClient, account: int, endpoint: str) -> None:
    """Returns if the account has this webhook. Raises NotFound."""
    await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account, id=endpoint))


def _location(replay: contract.Replay) -> dict[str, str]:
    return {"Location": f"{PREFIX}/webhooks/{replay.endpoint}/replays/{replay.id}"}


def _attempt(attempt: contract.Attempt) -> Attempt:
    told = msgspec.structs.asdict(attempt)
    told["response_headers"] = [Header(name, value) for name, value in attempt.response_headers]
    told["response_head"] = attempt.response_head.decode(errors="replace")
    return converted(Attempt, told)
