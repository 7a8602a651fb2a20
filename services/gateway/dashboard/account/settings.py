"""The page of an account's settings: what its people may change, and what the installation tells."""

import asyncio
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency

from services.gateway import VERSION
from services.gateway.dashboard.account.adjustments import FIELD_OF, Typed, changes, faults, time_zones, typed, typed_of
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import Pages, go
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.registry import Rpc
from shared.contracts.rpc.auth import Account, SetSettings, ShowAccount
from shared.contracts.rpc.retention import AskRetention, Retention
from shared.errors import Invalid, SmsFleetError

ASK_S: Final = 2.0
"""How long a service has to say that it is there, in seconds."""


@get("/settings", opt={OPT: "sms:read"})
async def show(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """The settings; a form for whoever may change them."""
    account = await _account(request, rpc)
    return await _page(request, pages, rpc, account, typed_of(account))


@post("/settings", opt={OPT: "account:manage"}, status_code=303)
async def save(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Changes what was typed differently from what is set."""
    account, wanted, words = await _account(request, rpc), typed(form), pages.words(request)
    if wrong := faults(wanted):
        told = {field: words(f"settings.error.{code}") for field, code in wrong.items()}
        return await _page(request, pages, rpc, account, wanted, told, 400)
    changed = changes(wanted, account)
    if changed:
        asked = SetSettings(account=account.id, actor=request.user.actor, **changed)
        try:
            await rpc.ask(registry.AUTH_SETTINGS_SET, asked)
        except Invalid as error:
            told = {FIELD_OF.get(error.code, "time_zone"): sentence(words, "settings.error.", error)}
            return await _page(request, pages, rpc, account, wanted, told, 400)
    return go("/settings", "settings.notice.saved")


async def _account(request: VisitorRequest, rpc: RpcClient) -> Account:
    return (await rpc.ask(registry.AUTH_ACCOUNT_SHOW, ShowAccount(request.user.account))).account


async def _page(
    request: VisitorRequest,
    pages: Pages,
    rpc: RpcClient,
    account: Account,
    wanted: Typed,
    wrong: dict[str, str] | None = None,
    status: int = 200,
) -> Response[Any]:
    dispatcher, webhooks, zones = await asyncio.gather(
        _kept(rpc, registry.DISPATCHER_RETENTION),
        _kept(rpc, registry.WEBHOOKS_RETENTION),
        asyncio.to_thread(time_zones),
    )
    return pages.show(
        request,
        "settings/page.html",
        status=status,
        account=account,
        wanted=wanted,
        faults=wrong or {},
        zones=zones,
        services={"auth": True, "dispatcher": dispatcher is not None, "webhooks": webhooks is not None},
        kept={**(dispatcher or {}), **(webhooks or {})},
        version=VERSION,
    )


async def _kept(rpc: RpcClient, question: Rpc[AskRetention, Retention]) -> dict[str, int] | None:
    """For how many days a service keeps what; None while it does not answer."""
    try:
        return (await rpc.ask(question, AskRetention(), ASK_S)).days
    except SmsFleetError:
        return None


HANDLERS: Final = (show, save)
