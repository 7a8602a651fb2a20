"""The pages of API keys: made and rotated, where each is shown once, listed, and ended."""

from collections.abc import Mapping, Sequence
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
    Wish,
    faults,
    of_key,
    overlap_of,
    shelf,
    wished,
)
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import Pages, go
from services.gateway.scopes import OPT, SCOPES
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import CreateKey, KeyCreated, ListKeys, RevokeKey, RotateKey
from shared.contracts.rpc.clients import ClientCreated
from shared.errors import Invalid, NotFound

MANAGES: Final = {OPT: "account:manage"}
KIND: Final = "key"


@get("/keys", opt=MANAGES)
async def show_all(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Those that work, and those that have ended."""
    return pages.show(request, "keys/list.html", kind=KIND, shelf=shelf(await _all(request, pages, rpc)))


@get("/keys/new", opt=MANAGES, sync_to_thread=False)
def ask(request: VisitorRequest, pages: NamedDependency[Pages]) -> Response[Any]:
    """The form of a new one."""
    return form_page(request, pages, KIND, FIRST, {})


@post("/keys", opt=MANAGES, status_code=200)
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
    asked = CreateKey(
        account=request.user.account,
        name=wish.name,
        scopes=list(wish.scopes),
        rate_per_minute=wish.rate_per_minute,
        lives_s=LIVES_S[wish.lives],
        actor=request.user.actor,
    )
    try:
        made = await rpc.ask(registry.AUTH_KEY_CREATE, asked)
    except Invalid as error:
        return form_page(request, pages, KIND, wish, {"name": sentence(words, "keys.error.", error)}, status=400)
    return shown_once(request, pages, made, wish.name, wish.scopes, rotated=False)


@get("/keys/{id:str}", opt=MANAGES)
async def show(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """One, with lines of code that use it."""
    found = await _one(request, pages, rpc, id)
    lines = samples.samples(pages.base_url, samples.Key(), found.scopes)
    return pages.show(request, "keys/show.html", kind=KIND, each=found, overlaps=OVERLAPS_S, samples=lines)


@post("/keys/{id:str}/rotate", opt=MANAGES, status_code=200)
async def rotate(
    request: VisitorRequest,
    id: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Gives it another secret and shows that, once."""
    found = await _one(request, pages, rpc, id)
    asked = RotateKey(account=request.user.account, id=id, overlap_s=overlap_of(form), actor=request.user.actor)
    made = await rpc.ask(registry.AUTH_KEY_ROTATE, asked)
    return shown_once(request, pages, made, found.name, found.scopes, rotated=True)


@post("/keys/{id:str}/revoke", opt=MANAGES, status_code=303)
async def revoke(request: VisitorRequest, id: FromPath[str], rpc: NamedDependency[RpcClient]) -> Response[Any]:
    """Ends it at once."""
    asked = RevokeKey(account=request.user.account, id=id, actor=request.user.actor)
    await rpc.ask(registry.AUTH_KEY_REVOKE, asked)
    return go("/keys", "keys.notice.revoked")


async def _all(request: VisitorRequest, pages: Pages, rpc: RpcClient) -> list[Credential]:
    found = await rpc.ask(registry.AUTH_KEY_LIST, ListKeys(request.user.account))
    now = pages.writing(request).now
    return [of_key(each, now) for each in found.keys]


async def _one(request: VisitorRequest, pages: Pages, rpc: RpcClient, id: str) -> Credential:
    found = next((each for each in await _all(request, pages, rpc) if each.id == id), None)
    if found is None:
        raise NotFound
    return found


def form_page(
    request: VisitorRequest, pages: Pages, kind: str, wish: Wish, wrong: Mapping[str, str], status: int = 200
) -> Response[Any]:
    """The form of a new key or client, with what was typed and what is wrong with it, by field."""
    return pages.show(
        request, "keys/form.html", status=status, kind=kind, wish=wish, faults=wrong, scopes=SCOPES, lives=LIVES_S
    )


def shown_once(
    request: VisitorRequest,
    pages: Pages,
    made: KeyCreated | ClientCreated,
    name: str,
    scopes: Sequence[str],
    *,
    rotated: bool,
) -> Response[Any]:
    """What was made, its secret, and lines of code with that in them. `rotated`: it is not its first secret."""
    credential: samples.Key | samples.Client
    if isinstance(made, KeyCreated):
        kind, id, secret, credential = "key", made.id, made.api_key, samples.Key(made.api_key)
    else:
        kind, id, secret = "client", made.client_id, made.client_secret
        credential = samples.Client(id, secret)
    lines = samples.samples(pages.base_url, credential, scopes)
    return pages.show(
        request, "keys/made.html", kind=kind, id=id, name=name, secret=secret, samples=lines, rotated=rotated
    )


HANDLERS: Final = (show_all, ask, create, show, rotate, revoke)
