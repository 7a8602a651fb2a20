"""Events page by page, for receivers that would rather ask, or that missed what was sent."""

from typing import Final

from services.webhooks import checks
from services.webhooks.formats import v2_body
from services.webhooks.store.events import Cursor, Events
from shared.contracts.rpc.deliveries import EventPage, PageEvents

MAX_EVENTS: Final = 500
MAX_PAGE_BYTES: Final = 512 * 1024
"""What a page holds at most; an answer on NATS is at most twice as large."""


class Pages:
    """Answers with pages."""

    def __init__(self, events: Events) -> None:
        """Reads these events."""
        self._events = events

    async def page(self, request: PageEvents) -> EventPage:
        """The next page. Raises Invalid (`invalid_cursor`, `invalid_limit`, `invalid_types`)."""
        after = checks.cursor(request.after)
        limit = checks.limit(request.limit, MAX_EVENTS)
        types = checks.kept_types(request.types, "invalid_types")
        found = await self._events.page(request.account, after, limit + 1, types)
        told = {each.id: each for each in await self._events.told([event for _, event in found[:limit]])}
        bodies: list[bytes] = []
        size = 0
        for place, event in found[:limit]:
            if (each := told.get(event)) and (not request.types or each.facts.type in request.types):
                body = v2_body(each.facts)
                if bodies and size + len(body) > MAX_PAGE_BYTES:
                    return EventPage(bodies=bodies, next=_text(after), more=True)
                bodies.append(body)
                size += len(body)
            after = place
        return EventPage(bodies=bodies, next=_text(after), more=len(found) > limit)


def _text(cursor: Cursor) -> str:
    return f"{cursor.xid}.{cursor.id}"
