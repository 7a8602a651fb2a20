"""The page of one's own: another password, out everywhere, the language. Everybody who is signed in has it."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency

from services.gateway.dashboard.account.people import HASHING_S, user_of
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.signin import Door
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import Pages, go
from services.gateway.scopes import AUTHENTICATED, OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.people import ChangePassword
from shared.errors import Conflict, Forbidden, Invalid

OWN: Final = {OPT: AUTHENTICATED}


@get("/profile", opt=OWN)
async def show(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Who is signed in, and what they can change of themselves."""
    return await _page(request, pages, rpc)


@post("/profile/password", opt=OWN, status_code=303)
async def change_password(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    door: NamedDependency[Door],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Another password for whoever knows the present one. Every browser is signed out; this one gets in anew."""
    visitor, words, password = request.user, pages.words(request), form.get("password", "")
    if password != form.get("again", ""):
        return await _page(request, pages, rpc, {"again": words("people.error.not_the_same")}, 400)
    asked = ChangePassword(
        account=visitor.account,
        id=visitor.session.user,
        present=form.get("present", ""),
        password=password,
        actor=visitor.actor,
    )
    try:
        user = await rpc.ask(registry.AUTH_PASSWORD_CHANGE, asked, HASHING_S)
    except Invalid as error:
        return await _page(request, pages, rpc, {"password": sentence(words, "people.error.", error)}, 400)
    except Forbidden:
        return await _page(request, pages, rpc, {"present": words("people.error.wrong_password")}, 403)
    except Conflict as error:
        return await _page(request, pages, rpc, {"present": sentence(words, "people.error.", error)}, 429)
    answer = go("/profile", "people.notice.own_password")
    await door.let_in(request, user, answer)
    return answer


async def _page(
    request: VisitorRequest, pages: Pages, rpc: RpcClient, faults: dict[str, str] | None = None, status: int = 200
) -> Response[Any]:
    user = await user_of(request, rpc, request.user.session.user)
    return pages.show(request, "people/profile.html", status=status, user=user, faults=faults or {})


HANDLERS: Final = (show, change_password)
