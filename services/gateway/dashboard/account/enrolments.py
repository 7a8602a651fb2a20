"""The page of the keys that let phones in; making one belongs to the phones' pages."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.gateway.dashboard.account.credentials import MAX_ENDED, state_of
from services.gateway.dashboard.account.keys import MANAGES
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.pages import Pages, go
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.clients import EnrolmentKey, ListEnrolmentKeys, RevokeEnrolmentKey


@get("/keys/enrolment", opt=MANAGES)
async def show_all(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Those that still let a phone in, and the newest of the others."""
    found = await rpc.ask(registry.AUTH_ENROLMENT_LIST, ListEnrolmentKeys(request.user.account))
    now = pages.writing(request).now
    rows = [(each, _state(each, now)) for each in reversed(found.keys)]
    ended = [row for row in rows if row[1] in _ENDED]
    return pages.show(
        request,
        "keys/enrolment.html",
        kind="enrolment",
        living=[row for row in rows if row[1] not in _ENDED],
        ended=ended[:MAX_ENDED],
        left_out=len(ended[MAX_ENDED:]),
    )


@post("/keys/enrolment/{id:str}/revoke", opt=MANAGES, status_code=303)
async def revoke(request: VisitorRequest, id: FromPath[str], rpc: NamedDependency[RpcClient]) -> Response[Any]:
    """Lets nobody in with it any more."""
    asked = RevokeEnrolmentKey(account=request.user.account, id=id, actor=request.user.actor)
    await rpc.ask(registry.AUTH_ENROLMENT_REVOKE, asked)
    return go("/keys/enrolment", "keys.notice.enrolment_revoked")


def _state(key: EnrolmentKey, now: float) -> str:
    """As of any credential; a spent single-use key lives on as that of its phone, however old it is."""
    if key.device is not None and key.revoked_at is None:
        return "bound"
    return state_of(key, now)


_ENDED: Final = ("expired", "revoked")

HANDLERS: Final = (show_all, revoke)
