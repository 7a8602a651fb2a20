"""Events sent to a webhook once more: which ones, how many that would be, how far it is, and its end before time."""

import re
from http import HTTPStatus
from typing import Any, Final, get_args

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.localtimes import read
from services.gateway.dashboard.frame.pages import Pages, go
from services.gateway.dashboard.webhooks.endpoints import NEED, Hook, hook
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.deliveries import CancelReplay, CreateReplay, ListReplays, Replayable
from shared.errors import Conflict, Invalid, NotFound, SmsFleetError

REPLAY_S: Final = 15.0
"""How long the events of a replay may take to be counted, in seconds."""

STATES: Final[tuple[Replayable, ...]] = get_args(Replayable)
_AT_FIRST: Final[Form] = {"state:exhausted": "on", "state:expired": "on"}
_ID: Final = re.compile(r"[A-Za-z0-9_]{1,64}")


@get("/webhooks/{id:str}/replays", opt=NEED)
async def show(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Template:
    """The replays of a webhook, and the form of another one."""
    return await _page(hook(request, pages, rpc, id), {}, _AT_FIRST)


@post("/webhooks/{id:str}/replays", opt=NEED, status_code=303)
async def create(
    request: VisitorRequest,
    id: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Counts the events first; begins when the count was confirmed."""
    about = hook(request, pages, rpc, id)
    words, span, faults = pages.words(request), dict[str, float](), dict[str, str]()
    for name in ("since", "until"):
        if text := form.get(name, "").strip():
            try:
                span[name] = read(text, request.user.verdict.time_zone).at.timestamp()
            except Invalid as error:
                faults[name] = sentence(words, "webhooks.error.", error)
    states = [state for state in STATES if f"state:{state}" in form]
    if not states:
        faults["states"] = words("webhooks.error.no_states")
    if faults:
        return await _page(about, faults, form, status=HTTPStatus.BAD_REQUEST)
    is_counted = form.get("step") == "begin"
    question = CreateReplay(
        account=about.account,
        endpoint=about.id,
        since=span.get("since"),
        until=span.get("until"),
        states=list(states),
        dry_run=not is_counted,
    )
    try:
        made = await rpc.ask(registry.WEBHOOKS_REPLAY_CREATE, question, REPLAY_S)
    except (Invalid, Conflict) as error:
        return await _refused(about, error, form)
    if made.replay is None:
        return await _page(about, {}, form, matched=made.matched)
    return go(f"{about.path}/replays", "webhooks.notice.replaying")


@post("/webhooks/{id:str}/replays/{replay:str}/cancel", opt=NEED, status_code=303)
async def cancel(
    request: VisitorRequest,
    id: FromPath[str],
    replay: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Stops it: what was not delivered again goes back to what it was."""
    about = hook(request, pages, rpc, id)
    if not _ID.fullmatch(replay):
        raise NotFound
    try:
        await rpc.ask(registry.WEBHOOKS_REPLAY_CANCEL, CancelReplay(account=about.account, id=replay))
    except Conflict as error:
        return await _refused(about, error, _AT_FIRST)
    return go(f"{about.path}/replays", "webhooks.notice.replay_canceled")


async def _refused(about: Hook, error: SmsFleetError, form: Form) -> Template:
    status = HTTPStatus.BAD_REQUEST if isinstance(error, Invalid) else HTTPStatus.CONFLICT
    faults = {"form": sentence(about.pages.words(about.request), "webhooks.error.", error)}
    return await _page(about, faults, form, status=status)


async def _page(
    about: Hook, faults: dict[str, str], form: Form, *, matched: int | None = None, status: int = HTTPStatus.OK
) -> Template:
    """Replays, newest first. `matched`: so many events would be sent once more."""
    endpoint = await about.endpoint()
    question = ListReplays(account=about.account, endpoint=about.id)
    replays = (await about.rpc.ask(registry.WEBHOOKS_REPLAY_LIST, question)).replays
    return about.show(
        "webhooks/replays.html",
        status,
        endpoint=endpoint,
        replays=replays,
        is_running=any(not _is_over(each) for each in replays),
        is_over=_is_over,
        states=STATES,
        matched=matched,
        faults=faults,
        typed=form,
    )


def _is_over(replay: Any) -> bool:
    ended = replay.delivered + replay.exhausted + replay.canceled
    return bool(replay.state == "canceled" or (replay.state == "done" and ended >= replay.queued))


HANDLERS: Final = (show, create, cancel)
