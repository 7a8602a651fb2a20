"""The pages of an account's people: who is invited, what each may do, and how somebody who is locked out gets in."""

from typing import Any, Final, get_args

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import PREFIX, Pages, go, link
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.people import CreateLink, CreateUser, ListUsers, Role, SetPassword, SetUser, User
from shared.errors import Conflict, Invalid, NotFound

MANAGES: Final = {OPT: "account:manage"}
ROLES: Final[tuple[Role, ...]] = get_args(Role)

HASHING_S: Final = 12.0
"""Longest that a new password is waited for, in seconds: hashing takes its time, and longer while others sign in."""


@get("/people", opt=MANAGES)
async def show_all(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """The account's people, in order of creation."""
    return pages.show(request, "people/list.html", users=await users_of(request, rpc))


@get("/people/new", opt=MANAGES, sync_to_thread=False)
def ask(request: VisitorRequest, pages: NamedDependency[Pages]) -> Response[Any]:
    """The form of an invitation."""
    return _form(request, pages)


@post("/people", opt=MANAGES, status_code=200)
async def invite(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """A new user without a password, and the link to hand over, shown once."""
    login, role = form.get("login", "").strip(), _role(form)
    asked = CreateUser(account=request.user.account, login=login, role=role, actor=request.user.actor)
    try:
        user = await rpc.ask(registry.AUTH_USER_CREATE, asked)
    except (Invalid, Conflict) as error:
        fault = sentence(pages.words(request), "people.error.", error)
        return _form(request, pages, login=login, role=role, fault=fault, status=_status(error))
    return await _link(request, pages, rpc, user, invited=True)


@get("/people/{id:str}", opt=MANAGES)
async def show(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """One of them."""
    return _page(request, pages, await user_of(request, rpc, id))


@post("/people/{id:str}/role", opt=MANAGES, status_code=303)
async def set_role(
    request: VisitorRequest,
    id: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Changes what somebody may do."""
    asked = SetUser(account=request.user.account, id=id, role=_role(form), actor=request.user.actor)
    return await _set(request, pages, rpc, asked, "people.notice.role")


@post("/people/{id:str}/disable", opt=MANAGES, status_code=303)
async def disable(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Lets somebody in no more, and signs them out."""
    asked = SetUser(account=request.user.account, id=id, disabled=True, actor=request.user.actor)
    return await _set(request, pages, rpc, asked, "people.notice.disabled")


@post("/people/{id:str}/enable", opt=MANAGES, status_code=303)
async def enable(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Lets somebody in again."""
    asked = SetUser(account=request.user.account, id=id, disabled=False, actor=request.user.actor)
    return await _set(request, pages, rpc, asked, "people.notice.enabled")


@post("/people/{id:str}/link", opt=MANAGES, status_code=200)
async def make_link(
    request: VisitorRequest, id: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """A link that signs somebody in once, shown once."""
    return await _link(request, pages, rpc, await user_of(request, rpc, id), invited=False)


@post("/people/{id:str}/password", opt=MANAGES, status_code=303)
async def set_password(
    request: VisitorRequest,
    id: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Gives somebody else another password, and signs them out. One's own is changed on one's own page."""
    if id == request.user.session.user:
        return go("/profile")
    password = form.get("password", "")
    asked = SetPassword(account=request.user.account, id=id, password=password, actor=request.user.actor)
    try:
        await rpc.ask(registry.AUTH_USER_SET_PASSWORD, asked, HASHING_S)
    except Invalid as error:
        user, words = await user_of(request, rpc, id), pages.words(request)
        return _page(request, pages, user, password_fault=sentence(words, "people.error.", error), status=400)
    return go(f"/people/{id}", "people.notice.password")


async def users_of(request: VisitorRequest, rpc: RpcClient) -> list[User]:
    """The users of the visitor's account."""
    return (await rpc.ask(registry.AUTH_USER_LIST, ListUsers(request.user.account))).users


async def user_of(request: VisitorRequest, rpc: RpcClient, id: str) -> User:
    """A user of the visitor's account. Raises NotFound."""
    found = next((each for each in await users_of(request, rpc) if each.id == id), None)
    if found is None:
        raise NotFound
    return found


async def _set(request: VisitorRequest, pages: Pages, rpc: RpcClient, asked: SetUser, notice: str) -> Response[Any]:
    try:
        await rpc.ask(registry.AUTH_USER_SET, asked)
    except Conflict as error:
        user, fault = await user_of(request, rpc, asked.id), sentence(pages.words(request), "people.error.", error)
        return _page(request, pages, user, fault=fault, status=_status(error))
    # Whoever has just given up managing the account has no way back to this page.
    gone = asked.id == request.user.session.user and (asked.disabled or asked.role not in (None, "owner"))
    return go("" if gone else f"/people/{asked.id}", notice)


async def _link(request: VisitorRequest, pages: Pages, rpc: RpcClient, user: User, *, invited: bool) -> Response[Any]:
    asked = CreateLink(account=request.user.account, id=user.id, actor=request.user.actor)
    made = await rpc.ask(registry.AUTH_LINK_CREATE, asked)
    url = f"{pages.base_url}{PREFIX}/link/{made.token}"
    return pages.show(
        request,
        "people/link.html",
        source=link(f"/people/{user.id}"),
        user=user,
        url=url,
        expires_at=made.expires_at,
        invited=invited,
    )


def _form(
    request: VisitorRequest, pages: Pages, login: str = "", role: Role = "member", fault: str = "", status: int = 200
) -> Response[Any]:
    return pages.show(request, "people/form.html", status=status, login=login, role=role, fault=fault, roles=ROLES)


def _page(
    request: VisitorRequest, pages: Pages, user: User, fault: str = "", password_fault: str = "", status: int = 200
) -> Response[Any]:
    return pages.show(
        request,
        "people/show.html",
        status=status,
        user=user,
        own=user.id == request.user.session.user,
        fault=fault,
        password_fault=password_fault,
        roles=ROLES,
    )


def _role(form: Form) -> Role:
    role = form.get("role", "")
    if role not in ROLES:
        raise Invalid("There is no such role.", code="invalid_role")
    return role


def _status(error: Exception) -> int:
    return 409 if isinstance(error, Conflict) else 400


HANDLERS: Final = (show_all, ask, invite, show, set_role, disable, enable, make_link, set_password)
