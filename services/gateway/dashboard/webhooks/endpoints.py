"""Webhooks: how each fares, one tried out, paused, given another secret, ended."""

import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import PREFIX, Pages, go
from services.gateway.dashboard.webhooks.health import failure, health
from services.gateway.dashboard.webhooks.wishes import example_types
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.deliveries import Deliveries, ListDeliveries
from shared.contracts.rpc.webhooks import (
    DeleteEndpoint,
    EnableEndpoint,
    Endpoint,
    ListEndpoints,
    PauseEndpoint,
    RotateSecret,
    TryEndpoint,
)
from shared.errors import Invalid, NotFound

NEED: Final = {OPT: "webhooks:manage"}
TRY_S: Final = 20.0
"""How long the post of an example may take, in seconds."""

OVERLAPS: Final = (86_400, 0, 3600, 2 * 86_400, 7 * 86_400)
"""How long the secret before a rotation may go on signing, in seconds; the first is what most want."""

LATEST: Final = 5

_ID: Final = re.compile(r"[A-Za-z0-9_]{1,64}")


class Hook(NamedTuple):
    """What handlers need to show or change a webhook."""

    request: VisitorRequest
    pages: Pages
    rpc: RpcClient
    id: str

    @property
    def account(self) -> int:
        """The visitor's account."""
        return self.request.user.account

    @property
    def path(self) -> str:
        """Its page, below the dashboard."""
        return f"/webhooks/{self.id}"

    async def endpoint(self) -> Endpoint:
        """The webhook as it is now. Raises NotFound."""
        question = ListEndpoints(account=self.account, id=self.id)
        return (await self.rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, question)).endpoints[0]

    async def page(self, faults: dict[str, str], form: Form, status: int = HTTPStatus.OK) -> Template:
        """Its page; `faults` by field, beside what was typed. Raises NotFound."""
        endpoint = await self.endpoint()
        latest = await self.deliveries(LATEST)
        return self.show(
            "webhooks/one.html",
            status,
            endpoint=endpoint,
            latest=latest.deliveries,
            example_types=example_types(endpoint.format),
            overlaps=OVERLAPS,
            faults=faults,
            typed=form,
        )

    async def deliveries(self, limit: int, **more: Any) -> Deliveries:
        """The newest deliveries."""
        question = ListDeliveries(account=self.account, endpoint=self.id, limit=limit, **more)
        return await self.rpc.ask(registry.WEBHOOKS_DELIVERY_LIST, question)

    def show(self, template: str, status: int = HTTPStatus.OK, **context: Any) -> Template:
        """A page about it; after a form that was refused, the language links lead to where it can be read again."""
        more = {"here": PREFIX + self.path} if self.request.method == "POST" else {}
        return self.pages.show(
            self.request,
            template,
            status=status,
            hook=PREFIX + self.path,
            health=health,
            failure=failure,
            **context | more,
        )

    async def refused(self, field: str, error: Invalid, form: Form) -> Template:
        """The page again, with why not."""
        text = sentence(self.pages.words(self.request), "webhooks.error.", error)
        return await self.page({field: text}, form, HTTPStatus.BAD_REQUEST)


@get("/webhooks", opt=NEED)
async def show(request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]) -> Template:
    """All webhooks, and how each fares."""
    question = ListEndpoints(account=request.user.account)
    found = await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, question)
    return pages.show(request, "webhooks/list.html", endpoints=found.endpoints, health=health, failure=failure)


@get("/webhooks/{id:str}", opt=NEED)
async def one(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Template:
    """One webhook."""
    return await hook(request, pages, rpc, id).page({}, {})


@post("/webhooks/{id:str}/pause", opt=NEED, status_code=303)
async def pause(
    request: VisitorRequest,
    id: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Sends nothing until it is enabled; its events wait."""
    about = hook(request, pages, rpc, id)
    question = PauseEndpoint(account=about.account, id=about.id, reason=form.get("reason", ""))
    try:
        await rpc.ask(registry.WEBHOOKS_ENDPOINT_PAUSE, question)
    except Invalid as error:
        return await about.refused("reason", error, form)
    return go(about.path, "webhooks.notice.paused")


@post("/webhooks/{id:str}/enable", opt=NEED, status_code=303)
async def enable(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Sends again, with a slow start; also where its breaker is open."""
    about = hook(request, pages, rpc, id)
    await rpc.ask(registry.WEBHOOKS_ENDPOINT_ENABLE, EnableEndpoint(account=about.account, id=about.id))
    return go(about.path, "webhooks.notice.enabled")


@post("/webhooks/{id:str}/test", opt=NEED, status_code=200)
async def test(
    request: VisitorRequest,
    id: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Posts an example now and shows what was sent and what came back. Nothing is kept of it."""
    about = hook(request, pages, rpc, id)
    type = form.get("type", "ping")
    try:
        question = TryEndpoint(account=about.account, id=about.id, event_type=type)
        tried = await rpc.ask(registry.WEBHOOKS_ENDPOINT_TEST, question, TRY_S)
    except Invalid as error:
        return await about.refused("type", error, form)
    return about.show("webhooks/tried.html", tried=tried, type=type)


@post("/webhooks/{id:str}/rotate", opt=NEED, status_code=200)
async def rotate(
    request: VisitorRequest,
    id: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """A new signing secret, shown only here."""
    about = hook(request, pages, rpc, id)
    overlap = form.get("overlap", "")
    question = RotateSecret(
        account=about.account,
        id=about.id,
        secret=form.get("secret", "").strip() or None,
        overlap_s=next((each for each in OVERLAPS if str(each) == overlap), OVERLAPS[0]),
    )
    try:
        rotated = await rpc.ask(registry.WEBHOOKS_SECRET_ROTATE, question)
    except Invalid as error:
        return await about.refused("secret", error, form)
    return about.show("webhooks/secret.html", secret=rotated.secret, older_until=rotated.older_until, is_new=False)


@post("/webhooks/{id:str}/delete", opt=NEED, status_code=303)
async def delete(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Ends it with what it has not delivered."""
    about = hook(request, pages, rpc, id)
    await rpc.ask(registry.WEBHOOKS_ENDPOINT_DELETE, DeleteEndpoint(account=about.account, id=about.id))
    return go("/webhooks", "webhooks.notice.deleted")


def hook(request: VisitorRequest, pages: Pages, rpc: RpcClient, id: str) -> Hook:
    """About a webhook that there may be. Raises NotFound for what is no webhook's id."""
    if not _ID.fullmatch(id):
        raise NotFound
    return Hook(request, pages, rpc, id)


HANDLERS: Final = (show, one, pause, enable, test, rotate, delete)
