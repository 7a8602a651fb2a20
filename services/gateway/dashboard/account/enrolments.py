"""The page of the keys that let phones in; making one belongs to the phones' pages."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.gateway.dashboard.account.credentials import state_of
from services.gateway.dashboard.account.keys import MANAGES
from services.gateway.dashboard.account.shelves import PAGE, shelf
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.pages import Pages, go
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.clients import EnrolmentKey, ListEnrolmentKeys, RevokeEnrolmentKey
from shared.contracts.rpc.listing import Standing

PATH: Final = "/keys/enrolment"


@get(PATH, opt=MANAGES)
async def show_all(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Those that still let a phone in, and those that do not."""
    now = pages.writing(request).now

    async def turn(state: Standing, before: str | None) -> tuple[list[tuple[EnrolmentKey, str]], str | None]:
        asked = ListEnrolmentKeys(request.user.account, state=state, before=before, limit=PAGE)
        found = await rpc.ask(registry.AUTH_ENROLMENT_LIST, asked)
        return [(each, _state(each, now)) for each in found.keys], found.before

    return pages.show(request, "keys/enrolment.html", kind="enrolment", shelf=await shelf(request, PATH, turn))


@post(f"{PATH}/{{id:str}}/revoke", opt=MANAGES, status_code=303)
async def revoke(request: VisitorRequest, id: FromPath[str], rpc: NamedDependency[RpcClient]) -> Response[Any]:
    """Lets nobody in with it any more."""
    asked = RevokeEnrolmentKey(account=request.user.account, id=id, actor=request.user.actor)
    await rpc.ask(registry.AUTH_ENROLMENT_REVOKE, asked)
    return go(PATH, "keys.notice.enrolment_revoked")


def _state(key: EnrolmentKey, now: float) -> str:
    """As of any credential; a spent single-use key lives on as that of its phone, however old it is."""
    if key.device is not None and key.revoked_at is None:
        return "bound"
    return state_of(key, now)


HANDLERS: Final = (show_all, revoke)
