"""The list of sent messages: what is looked for, a page of it, and the way to the pages before and after."""

from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency

from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.pages import Pages, link
from services.gateway.dashboard.messages.phonebook import MAX_OPTIONS, has_more, names, phones_of
from services.gateway.dashboard.messages.searches import Search, place, search_of, wanted
from services.gateway.dashboard.store.messages import Found, Messages
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.db.seen import SEEN_STATES

PATH: Final = "/messages"
MAX_LISTED_CHARS: Final = 300
"""Of each text in the list; its own page has the whole."""


@get(PATH, opt={OPT: "sms:read"})
async def show(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    messages: NamedDependency[Messages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """A page of the messages that were sent, the newest first."""
    verdict, search = request.user.verdict, search_of(request.query_params)
    filter_, faults = wanted(search, verdict.region, verdict.time_zone)
    found = Found([], None, None, partial=False)
    if not faults:
        before, after = (place(request.query_params.get(name, "")) for name in ("before", "after"))
        found = await messages.find(request.user.account, filter_, before, None if before else after)
    here, t = [search.phone, *(row.sent.device_id for row in found.rows)], pages.words(request)
    phones = await phones_of(rpc, request.user.account, here, MAX_OPTIONS)
    return pages.show(
        request,
        "messages/list.html",
        status=400 if faults else 200,
        search=search,
        faults=_NO_FAULTS | {field: t(f"messages.error.{code}") for field, code in faults.items()},
        rows=found.rows,
        partial=found.partial,
        older=_page(search, before=found.older),
        newer=_page(search, after=found.newer),
        export=link(f"{PATH}/export.csv", **search._asdict()),
        names=names(phones),
        more_phones=has_more(phones),
        states=[("", t("common.all")), *((state, t(f"common.state.{state}")) for state in SEEN_STATES)],
        most=MAX_LISTED_CHARS,
    )


_NO_FAULTS: Final = dict.fromkeys(Search._fields, "")


def _page(search: Search, **places: bytes | None) -> str | None:
    told = {name: at.hex() for name, at in places.items() if at is not None}
    return link(PATH, **search._asdict(), **told) if told else None


HANDLERS: Final = (show,)
