"""/v1/events: events for programs that would rather ask than be called, or that missed what was sent."""

from typing import Annotated, Final

import msgspec
from litestar import get
from litestar.params import QueryParameter
from msgspec import Meta

from services.gateway.rest.routes import RestRequest, Rpc, account_of
from services.gateway.scopes import OPT
from shared.contracts import registry
from shared.contracts.rpc.deliveries import PageEvents


class Event(msgspec.Struct, frozen=True):
    """The body of the V2 form (docs/webhooks.md). What `data` holds depends on the type."""

    id: Annotated[str, Meta(examples=["0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c50"])]
    type: Annotated[str, Meta(examples=["sms.received"])]
    api_version: str
    created_at: str
    occurred_at: str
    data: dict[str, str | int | None]


class EventPage(msgspec.Struct, frozen=True):
    """Events in the order of the cursor, and the cursor behind them; `more`: there are others behind it now."""

    events: list[Event]
    next: Annotated[str, Meta(examples=["8214.1071"])]
    more: bool


_decode = msgspec.json.Decoder(Event).decode


@get("/events", opt={OPT: "sms:read"}, tags=["Webhooks"], summary="Read events")
async def events(
    request: RestRequest,
    rpc: Rpc,
    after: Annotated[
        str | None, QueryParameter(description="An answer's `next`; without it, from the oldest event.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="How many at most.")] = 100,
    types: Annotated[list[str] | None, QueryParameter(description="Only of these types; repeat it for more.")] = None,
) -> EventPage:
    """The account's events behind a cursor: none twice and none missed, at most 512 KiB of them."""
    question = PageEvents(account=account_of(request), after=after, limit=limit, types=types or [])
    page = await rpc.ask(registry.WEBHOOKS_EVENT_PAGE, question)
    return EventPage([_decode(body) for body in page.bodies], page.next, page.more)


HANDLERS: Final = (events,)
