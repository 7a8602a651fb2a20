"""Makes a webhook and changes it: the form, and what stands beside a field that cannot be taken."""

from http import HTTPStatus
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import PREFIX, Pages, go
from services.gateway.dashboard.messages.phonebook import MAX_OPTIONS, has_more, named, names
from services.gateway.dashboard.webhooks import wishes
from services.gateway.dashboard.webhooks.endpoints import NEED, Hook, hook
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.webhooks import CreateEndpoint, Endpoint, Format, UpdateEndpoint
from shared.errors import Invalid

_NEW: Final[Form] = {"format": "v2", "auth": "none", "max_window": "32"}


@get("/webhooks/new", opt=NEED)
async def ask(request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]) -> Template:
    """The empty form."""
    return await _form(request, pages, rpc, None, {}, _NEW)


@post("/webhooks/new", opt=NEED, status_code=200)
async def create(
    request: VisitorRequest,
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Makes it; the answer shows the signing secret, which nothing shows again."""
    format: Format = "classic" if form.get("format") == "classic" else "v2"
    wish = wishes.wish(form, format, is_new=True)
    if wish.faults:
        return await _unread(request, pages, rpc, None, wish.faults, form)
    question = CreateEndpoint(account=request.user.account, format=format, **wish.values)
    try:
        made = await rpc.ask(registry.WEBHOOKS_ENDPOINT_CREATE, question)
    except Invalid as error:
        return await _refused(request, pages, rpc, None, error, form)
    about = Hook(request, pages, rpc, made.endpoint.id)
    return about.show("webhooks/secret.html", secret=made.secret, older_until=None, is_new=True)


@get("/webhooks/{id:str}/edit", opt=NEED)
async def edit(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Template:
    """The form with what is chosen now."""
    endpoint = await hook(request, pages, rpc, id).endpoint()
    return await _form(request, pages, rpc, endpoint, {}, wishes.typed(endpoint))


@post("/webhooks/{id:str}/edit", opt=NEED, status_code=303)
async def change(
    request: VisitorRequest,
    id: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Changes it. Deliveries that were made already keep their body."""
    about = hook(request, pages, rpc, id)
    endpoint = await about.endpoint()
    wish = wishes.wish(form, endpoint.format, is_new=False)
    if wish.faults:
        return await _unread(request, pages, rpc, endpoint, wish.faults, form)
    try:
        question = UpdateEndpoint(account=about.account, id=about.id, **wish.values)
        await rpc.ask(registry.WEBHOOKS_ENDPOINT_UPDATE, question)
    except Invalid as error:
        return await _refused(request, pages, rpc, endpoint, error, form)
    return go(about.path, "webhooks.notice.changed")


async def _unread(
    request: VisitorRequest,
    pages: Pages,
    rpc: RpcClient,
    endpoint: Endpoint | None,
    codes: dict[str, str],
    form: Form,
) -> Template:
    words = pages.words(request)
    faults = {field: words(f"webhooks.error.{code}") for field, code in codes.items()}
    return await _form(request, pages, rpc, endpoint, faults, form, HTTPStatus.BAD_REQUEST)


async def _refused(
    request: VisitorRequest, pages: Pages, rpc: RpcClient, endpoint: Endpoint | None, error: Invalid, form: Form
) -> Template:
    faults = {wishes.FIELD_OF.get(error.code, "form"): sentence(pages.words(request), "webhooks.error.", error)}
    return await _form(request, pages, rpc, endpoint, faults, form, HTTPStatus.BAD_REQUEST)


async def _form(
    request: VisitorRequest,
    pages: Pages,
    rpc: RpcClient,
    endpoint: Endpoint | None,
    faults: dict[str, str],
    form: Form,
    status: int = HTTPStatus.OK,
) -> Template:
    """The form of a webhook, or of one to be."""
    chosen = [*(endpoint.filter.devices if endpoint else ()), *wishes.devices(form)]
    found = await named(rpc, request.user.account, chosen, MAX_OPTIONS)
    called = names(found)
    return pages.show(
        request,
        "webhooks/form.html",
        status=status,
        endpoint=endpoint,
        action=f"{PREFIX}/webhooks/{endpoint.id}/edit" if endpoint else f"{PREFIX}/webhooks/new",
        groups=wishes.groups(endpoint),
        # A removed phone may still stand in the filter, and must not leave it unseen.
        devices=called | {id: id for id in chosen if id not in called},
        more_devices=has_more(found),
        faults=faults,
        typed=form,
    )


HANDLERS: Final = (ask, create, edit, change)
