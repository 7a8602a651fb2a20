"""The pages of API keys and of OAuth2 clients: made and rotated, where each is shown once, listed, and ended."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from services.gateway.dashboard.account.credentials import (
    FIRST,
    LIVES_S,
    OVERLAPS_S,
    Credential,
    Wish,
    faults,
    overlap_of,
    wished,
)
from services.gateway.dashboard.account.kinds import CLIENT, KEY, Kind, Made
from services.gateway.dashboard.account.samples import samples
from services.gateway.dashboard.account.shelves import PAGE, shelf
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import Pages, go, link
from services.gateway.scopes import OPT, SCOPES
from shared.bus.rpc import RpcClient
from shared.contracts.rpc.listing import Standing
from shared.errors import Invalid, NotFound

MANAGES: Final = {OPT: "account:manage"}


@get("/", opt=MANAGES)
async def show_all(
    request: VisitorRequest, kind: NamedDependency[Kind], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Those that work, and those that have ended."""
    now = pages.writing(request).now

    async def turn(state: Standing, before: str | None) -> tuple[list[Credential], str | None]:
        asked = kind.listing.request(account=request.user.account, state=state, before=before, limit=PAGE)
        found = await rpc.ask(kind.listing, asked)
        return kind.rows(found, now), found.before

    return pages.show(request, "keys/list.html", kind=kind.name, shelf=await shelf(request, kind.path, turn))


@get("/new", opt=MANAGES, sync_to_thread=False)
def ask(request: VisitorRequest, kind: NamedDependency[Kind], pages: NamedDependency[Pages]) -> Response[Any]:
    """The form of a new one."""
    return _form(request, pages, kind, FIRST, {})


@post("/", opt=MANAGES, status_code=200)
async def create(
    request: VisitorRequest,
    kind: NamedDependency[Kind],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Makes one and shows it, once."""
    wish, words = wished(form), pages.words(request)
    wrong = {field: words(f"keys.error.{code}") for field, code in faults(wish).items()}
    if wrong:
        return _form(request, pages, kind, wish, wrong, status=400)
    asked = kind.create.request(
        account=request.user.account,
        name=wish.name,
        scopes=list(wish.scopes),
        rate_per_minute=wish.rate_per_minute,
        lives_s=LIVES_S[wish.lives],
        actor=request.user.actor,
    )
    try:
        made = await rpc.ask(kind.create, asked)
    except Invalid as error:
        return _form(request, pages, kind, wish, {"name": sentence(words, "keys.error.", error)}, status=400)
    return _shown_once(request, pages, kind, kind.made(made), wish.name, wish.scopes, rotated=False)


@get("/{id:str}", opt=MANAGES)
async def show(
    request: VisitorRequest,
    id: FromPath[str],
    kind: NamedDependency[Kind],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """One, with lines of code that use it."""
    found = await _one(request, kind, pages, rpc, id)
    lines = samples(pages.base_url, kind.unknown(id), found.scopes)
    return pages.show(request, "keys/show.html", kind=kind.name, each=found, overlaps=OVERLAPS_S, samples=lines)


@post("/{id:str}/rotate", opt=MANAGES, status_code=200)
async def rotate(
    request: VisitorRequest,
    id: FromPath[str],
    kind: NamedDependency[Kind],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Gives it another secret and shows that, once."""
    found = await _one(request, kind, pages, rpc, id)
    asked = kind.rotate.request(
        **{kind.id: id}, account=request.user.account, overlap_s=overlap_of(form), actor=request.user.actor
    )
    made = kind.made(await rpc.ask(kind.rotate, asked))
    return _shown_once(request, pages, kind, made, found.name, found.scopes, rotated=True)


@post("/{id:str}/revoke", opt=MANAGES, status_code=303)
async def revoke(
    request: VisitorRequest, id: FromPath[str], kind: NamedDependency[Kind], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Ends it at once."""
    asked = kind.revoke.request(**{kind.id: id}, account=request.user.account, actor=request.user.actor)
    await rpc.ask(kind.revoke, asked)
    return go(kind.path, kind.revoked)


async def _one(request: VisitorRequest, kind: Kind, pages: Pages, rpc: RpcClient, id: str) -> Credential:
    found = await rpc.ask(kind.listing, kind.listing.request(account=request.user.account, id=id))
    # An auth of the version before answers all.
    one = next((each for each in kind.rows(found, pages.writing(request).now) if each.id == id), None)
    if one is None:
        raise NotFound
    return one


def _form(
    request: VisitorRequest, pages: Pages, kind: Kind, wish: Wish, wrong: Mapping[str, str], status: int = 200
) -> Response[Any]:
    """What was typed of a new one, and what is wrong with it, by field."""
    return pages.show(
        request, "keys/form.html", status=status, kind=kind.name, wish=wish, faults=wrong, scopes=SCOPES, lives=LIVES_S
    )


def _shown_once(
    request: VisitorRequest, pages: Pages, kind: Kind, made: Made, name: str, scopes: Sequence[str], *, rotated: bool
) -> Response[Any]:
    """What was made, its secret, and lines of code with that in them. `rotated`: it is not its first secret."""
    return pages.show(
        request,
        "keys/made.html",
        source=link(f"{kind.path}/{made.id}"),
        kind=kind.name,
        id=made.id,
        name=name,
        secret=made.secret,
        samples=samples(pages.base_url, made.credential, scopes),
        rotated=rotated,
    )


def _pages_of(kind: Kind) -> Router:
    return Router(
        kind.path,
        route_handlers=[show_all, ask, create, show, rotate, revoke],
        dependencies={"kind": Provide(lambda: kind, use_cache=True, sync_to_thread=False)},
    )


HANDLERS: Final = (_pages_of(KEY), _pages_of(CLIENT))
