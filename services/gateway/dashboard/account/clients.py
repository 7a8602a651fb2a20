"""The pages of OAuth2 clients, as those of API keys: made and rotated, listed, and ended."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.gateway.dashboard.account import samples
from services.gateway.dashboard.account.credentials import (
    FIRST,
    LIVES_S,
    OVERLAPS_S,
    Credential,
    faults,
    of_client,
    overlap_of,
    shelf,
    wished,
)
from services.gateway.dashboard.account.keys import MANAGES, form_page, shown_once
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import Pages, go
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.clients import CreateClient, ListClients, RevokeClient, RotateClient
from shared.errors import Invalid, NotFound

KIND: Final = "client"


@get("/keys/clients", opt=MANAGES)
async def show_all(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Those that work, and those that have ended."""
    return pages.show(request, "keys/list.html", kind=KIND, shelf=shelf(await _all(request, pages, rpc)))


@get("/keys/clients/new", opt=MANAGES, sync_to_thread=False)
def ask(request: VisitorRequest, pages: NamedDependency[Pages]) -> Response[Any]:
    """The form of a new one."""
    return form_page(request, pages, KIND, FIRST, {})


@post("/keys/clients", opt=MANAGES, status_code=200)
async def create(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Makes one and shows it, once."""
    wish, words = wished(form), pages.words(request)
    wrong = {field: words(f"keys.error.{code}") for field, code in faults(wish).items()}
    if wrong:
        return form_page(request, pages, KIND, wish, wrong, status=400)
    asked = CreateClient(
        account=request.user.account,
        name=wish.name,
        scopes=list(wish.scopes),
        rate_per_minute=wish.rate_per_minute,
        lives_s=LIVES_S[wish.lives],
        actor=request.user.actor,
    )
    try:
        made = await rpc.ask(registry.AUTH_CLIENT_CREATE, asked)
    except Invalid as error:
        return form_page(request, pages, KIND, wish, {"name": sentence(words, "keys.error.", error)}, status=400)
    return shown_once(request, pages, made, wish.name, wish.scopes, rotated=False)


@get("/keys/clients/{id:str}", opt=MANAGES)
async def show(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """One, with lines of code that use it."""
    found = await _one(request, pages, rpc, id)
    lines = samples.samples(pages.base_url, samples.Client(id), found.scopes)
    return pages.show(request, "keys/show.html", kind=KIND, each=found, overlaps=OVERLAPS_S, samples=lines)


@post("/keys/clients/{id:str}/rotate", opt=MANAGES, status_code=200)
async def rotate(
    request: VisitorRequest,
    id: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Gives it another secret and shows that, once."""
    found = await _one(request, pages, rpc, id)
    asked = RotateClient(
        account=request.user.account, client_id=id, overlap_s=overlap_of(form), actor=request.user.actor
    )
    made = await rpc.ask(registry.AUTH_CLIENT_ROTATE, asked)
    return shown_once(request, pages, made, found.name, found.scopes, rotated=True)


@post("/keys/clients/{id:str}/revoke", opt=MANAGES, status_code=303)
async def revoke(request: VisitorRequest, id: FromPath[str], rpc: NamedDependency[RpcClient]) -> Response[Any]:
    """Ends it at once."""
    asked = RevokeClient(account=request.user.account, client_id=id, actor=request.user.actor)
    await rpc.ask(registry.AUTH_CLIENT_REVOKE, asked)
    return go("/keys/clients", "keys.notice.client_revoked")


async def _all(request: VisitorRequest, pages: Pages, rpc: RpcClient) -> list[Credential]:
    found = await rpc.ask(registry.AUTH_CLIENT_LIST, ListClients(request.user.account))
    now = pages.writing(request).now
    return [of_client(each, now) for each in found.clients]


async def _one(request: VisitorRequest, pages: Pages, rpc: RpcClient, id: str) -> Credential:
    found = next((each for each in await _all(request, pages, rpc) if each.id == id), None)
    if found is None:
        raise NotFound
    return found


HANDLERS: Final = (show_all, ask, create, show, rotate, revoke)
