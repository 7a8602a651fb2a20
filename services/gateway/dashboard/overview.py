"""The first page: what happens now, what happened over a day, and what needs a person."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Final, NamedTuple, TypeVar

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Template

from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.charts import Bar
from services.gateway.dashboard.frame.languages import Words
from services.gateway.dashboard.frame.pages import Pages, Writing, link
from services.gateway.dashboard.messages.phonebook import named, names
from services.gateway.dashboard.store.overview import COUNTED, Overview, Picture
from services.gateway.dashboard.store.threads import Threads
from services.gateway.dashboard.webhooks.health import health
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.messages import Flag, ListAttention
from shared.contracts.rpc.phones import NamedDevices
from shared.contracts.rpc.webhooks import Endpoint, ListEndpoints
from shared.errors import Unavailable

TIMEOUT_S: Final = 2.0
"""What does not answer in this time is left out of the page, which says so."""

MAX_FLAGS: Final = 20

Found = TypeVar("Found")

_TROUBLE: Final = frozenset(("away", "failing", "disabled"))
_LAYERS: Final = ("delivered", "sent", "failed")


class Figure(NamedTuple):
    """A count of the last 24 hours, and that of the hour that has begun."""

    name: str
    day: int
    hour: int


class Sign(NamedTuple):
    """What needs a person, as a sentence, and where to look."""

    text: str
    href: str


@get("/", opt={OPT: "sms:read"})
async def show(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    overview: NamedDependency[Overview],
    threads: NamedDependency[Threads],
) -> Template:
    """The overview. What cannot be known now is left out, so that the page comes whatever is away."""
    visitor, t, write = request.user, pages.words(request), pages.writing(request)
    account = visitor.account
    picture, unread, (flags, phones), webhooks = await asyncio.gather(
        _or_none(overview.read(account)),
        _or_none(threads.unread(account)),
        _flagged(rpc, account),
        _or_none(rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account), TIMEOUT_S)),
    )
    parts = (("messages", picture), ("phones", phones), ("attention", flags), ("webhooks", webhooks))
    called = names(phones)
    return pages.show(
        request,
        "overview/page.html",
        away=[t(f"overview.part.{name}") for name, found in parts if found is None],
        phones=phones,
        unread=unread,
        picture=picture,
        counted=COUNTED,
        figures=_figures(picture) if picture else [],
        bars=_bars(picture, t, write) if picture else [],
        peak=max(hour.sent + hour.failed for hour in picture.hours) if picture else 0,
        signs=[_sign(flag, called, t, write) for flag in flags or ()],
        endpoints=[(each, _is_well(each)) for each in webhooks.endpoints] if webhooks else None,
    )


async def _or_none(answer: Awaitable[Found]) -> Found | None:
    try:
        return await answer
    except Unavailable:
        return None


async def _flagged(rpc: RpcClient, account: int) -> tuple[list[Flag] | None, NamedDevices | None]:
    """The oldest troubles, and the names of their phones with the counts of all; both come of the dispatcher."""
    attention = await _or_none(rpc.ask(registry.DISPATCHER_ATTENTION, ListAttention(account), TIMEOUT_S))
    if attention is None:
        return None, None
    flags = attention.flags[:MAX_FLAGS]
    return flags, await _or_none(named(rpc, account, [flag.device for flag in flags], timeout_s=TIMEOUT_S))


def _figures(picture: Picture) -> list[Figure]:
    return [
        Figure(name, sum(getattr(hour, name) for hour in picture.hours), getattr(picture.hours[-1], name))
        for name in ("accepted", "sent", "delivered", "failed")
    ]


def _bars(picture: Picture, t: Words, write: Writing) -> list[Bar]:
    layers = [(name, t(f"overview.figure.{name}")) for name in _LAYERS]
    return [
        Bar(
            write.moment(hour.at).short,
            # What was sent and not delivered, so that each message is drawn once.
            [
                (name, hour.sent - hour.delivered if name == "sent" else getattr(hour, name), told)
                for name, told in layers
            ],
        )
        for hour in picture.hours
    ]


def _sign(flag: Flag, called: Mapping[str, str], t: Words, write: Writing) -> Sign:
    device = flag.device or ""
    text = t(
        f"overview.flag.{flag.kind}",
        messages=t("overview.messages", count=flag.messages, number=write.number(flag.messages)),
        span=write.span(flag.oldest_s),
        phone=called.get(device, device),
    )
    if flag.device:
        return Sign(text, link(f"/phones/{flag.device}"))
    return Sign(text, link("/messages", state="unknown" if flag.kind == "unknown" else "queued"))


def _is_well(endpoint: Endpoint) -> bool:
    return health(endpoint) not in _TROUBLE


HANDLERS: Final = (show,)
