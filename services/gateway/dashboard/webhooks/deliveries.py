"""What became of each event for a webhook: its deliveries, every post of one with its answer, one sent once more."""

from http import HTTPStatus
from typing import Any, Final, get_args

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import Pages, go, link
from services.gateway.dashboard.webhooks.endpoints import NEED, Hook, hook
from services.gateway.dashboard.webhooks.replays import REPLAY_S
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.deliveries import Attempts, CreateReplay, DeliveryState, ListAttempts
from shared.errors import Conflict, NotFound

PAGE: Final = 50
MAX_ATTEMPTS: Final = 20
STATES: Final[tuple[str, ...]] = get_args(DeliveryState)
FIRST_BYTES: Final = 1024
"""So much of an answer is shown in the list of posts; one post alone is shown with all that was kept."""

_MAX_ID: Final = 2**63


@get("/webhooks/{id:str}/deliveries", opt=NEED)
async def show(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Template:
    """A page of deliveries, newest first."""
    about = hook(request, pages, rpc, id)
    endpoint = await about.endpoint()
    state, before = request.query_params.get("state", ""), _number(request.query_params.get("before", ""))
    wanted = [state] if state in STATES else []
    found = (await about.deliveries(PAGE + 1, states=wanted, before=before)).deliveries
    shown, path = found[:PAGE], f"{about.path}/deliveries"
    return about.show(
        "webhooks/deliveries.html",
        endpoint=endpoint,
        deliveries=shown,
        states=STATES,
        state="".join(wanted),
        newer=link(path, state=state) if before is not None else None,
        older=link(path, state=state, before=shown[-1].id) if len(found) > PAGE else None,
    )


@get("/webhooks/{id:str}/deliveries/{delivery:str}", opt=NEED)
async def one(
    request: VisitorRequest,
    id: FromPath[str],
    delivery: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Template:
    """A delivery with its posts, or with `attempt` one of them whole."""
    about, only = hook(request, pages, rpc, id), _number(request.query_params.get("attempt", ""))
    if only is not None and only >= 2**31:
        raise NotFound
    return await _page(about, await _found(about, delivery, only), only)


@post("/webhooks/{id:str}/deliveries/{delivery:str}/replay", opt=NEED, status_code=303)
async def replay(
    request: VisitorRequest,
    id: FromPath[str],
    delivery: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Sends its event once more."""
    about = hook(request, pages, rpc, id)
    found = await _found(about, delivery)
    question = CreateReplay(account=about.account, endpoint=about.id, events=[found.delivery.event])
    try:
        await rpc.ask(registry.WEBHOOKS_REPLAY_CREATE, question, REPLAY_S)
    except Conflict as error:
        return await _page(about, found, fault=sentence(pages.words(request), "webhooks.error.", error))
    return go(f"{about.path}/deliveries/{found.delivery.id}", "webhooks.notice.replaying")


async def _found(about: Hook, delivery: str, only: int | None = None) -> Attempts:
    """A delivery of this webhook with its posts, or one of them. Raises NotFound."""
    number = _number(delivery)
    if number is None:
        raise NotFound
    question = ListAttempts(account=about.account, delivery=number, number=only, limit=MAX_ATTEMPTS)
    found = await about.rpc.ask(registry.WEBHOOKS_ATTEMPT_LIST, question)
    if found.delivery.endpoint != about.id:
        raise NotFound
    return found


async def _page(about: Hook, found: Attempts, only: int | None = None, fault: str = "") -> Template:
    return about.show(
        "webhooks/delivery.html",
        HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        endpoint=await about.endpoint(),
        fault=fault,
        delivery=found.delivery,
        body=found.body.decode(errors="replace"),
        attempts=found.attempts,
        heads={
            each.number: each.response_head[: None if only else FIRST_BYTES].decode(errors="replace")
            for each in found.attempts
        },
        only=only,
        first_bytes=FIRST_BYTES,
        most=MAX_ATTEMPTS,
    )


def _number(text: str) -> int | None:
    """A delivery's number; None for nothing, or what is no such number."""
    if text.isascii() and text.isdecimal() and len(text) < 20 and (found := int(text)) < _MAX_ID:
        return found
    return None


HANDLERS: Final = (show, one, replay)
