"""Everything that a search finds as a CSV file, streamed: no more than a batch of it is ever in memory."""

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.formats import zone_of
from services.gateway.dashboard.frame.pages import Pages, link
from services.gateway.dashboard.messages.phonebook import names, phones_of
from services.gateway.dashboard.messages.searches import search_of, wanted
from services.gateway.dashboard.messages.sheets import head, sheet
from services.gateway.dashboard.store.messages import Messages, Row
from services.gateway.errors import RateLimited
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.errors import SmsFleetError

log = structlog.get_logger()

MAX_AT_ONCE: Final = 4
MAX_OF_ACCOUNT: Final = 2
"""So that no account keeps the others from theirs."""

TRY_AGAIN_S: Final = 30

TAKES_S: Final = 60.0
"""A browser that takes nothing of what it is sent for so many seconds is gone."""


class Exports:
    """How many exports run here at once, by account."""

    def __init__(self) -> None:
        """None runs."""
        self._running = Counter[int]()

    def begin(self, account: int) -> Callable[[], None]:
        """One more; what is returned ends it. Raises RateLimited where too many run."""
        if self._running[account] >= MAX_OF_ACCOUNT or self._running.total() >= MAX_AT_ONCE:
            raise RateLimited(TRY_AGAIN_S, "Too many exports run at once.")
        self._running[account] += 1
        return functools.partial(self._end, account)

    def _end(self, account: int) -> None:
        self._running[account] -= 1
        if not self._running[account]:
            del self._running[account]


class Called:
    """What the phones of an export are called: each is asked for once, none any more after nobody answered."""

    def __init__(self, rpc: RpcClient, account: int) -> None:
        """Knows none."""
        self._rpc = rpc
        self._account = account
        self._names: dict[str, str] = {}
        self._asked: set[str] = set()
        self._away = False

    async def by(self, rows: Iterable[Row]) -> Mapping[str, str]:
        """The names of those that are known; among them the phones of these rows."""
        new = {row.sent.device_id for row in rows if row.sent.device_id} - self._asked
        if new and not self._away:
            self._asked |= new
            found = await phones_of(self._rpc, self._account, new)
            self._names |= names(found)
            self._away = found is None
        return self._names


@get("/messages/export.csv", opt={OPT: "sms:read"})
async def export(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    messages: NamedDependency[Messages],
    exports: NamedDependency[Exports],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """The file; the list itself says what is wrong with a search. Raises RateLimited, Unavailable."""
    verdict, search = request.user.verdict, search_of(request.query_params)
    filter_, faults = wanted(search, verdict.region, verdict.time_zone)
    if faults:
        return Response(b"", status_code=303, headers={"Location": link("/messages", **search._asdict())})
    end = exports.begin(request.user.account)
    try:
        batches = messages.export(request.user.account, filter_)
        # Read before the first byte goes out, while the answer can still be an error's page.
        first = await anext(batches)
    except BaseException:
        end()
        raise

    called = Called(rpc, request.user.account)

    async def chunks() -> AsyncIterator[bytes]:
        yield head() + sheet(first, await called.by(first), verdict.time_zone)
        async for rows in batches:
            yield sheet(rows, await called.by(rows), verdict.time_zone)

    day = datetime.fromtimestamp(pages.writing(request).now, UTC).astimezone(zone_of(verdict.time_zone)).date()
    return _File(f"messages-{day.isoformat()}.csv", chunks(), end)


class _File(Stream):
    """A download of unknown length."""

    def __init__(self, name: str, chunks: AsyncIterator[bytes], end: Callable[[], None]) -> None:
        super().__init__(
            chunks,
            media_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"},
        )
        self._chunks = chunks
        self._end = end

    def to_asgi_response(self, *arguments: Any, **named: Any) -> ASGIResponse:
        plain = super().to_asgi_response(*arguments, **named)
        return _Sending(plain, self._chunks, self._end)


class _Sending(ASGIStreamingResponse):
    """Sends the chunks; where it cannot go on it leaves the answer without an end.

    The server then closes the connection in the middle of the chunked body (RFC 9112, 8), and the browser says that
    the download failed: a part of a file never looks like the whole.
    """

    def __init__(self, plain: ASGIResponse, chunks: AsyncIterator[bytes], end: Callable[[], None]) -> None:
        super().__init__(iterator=chunks, headers=dict(plain.headers.items()), status_code=plain.status_code)
        self._chunks = chunks
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()

    async def send_body(self, send: Send, receive: Receive) -> None:
        leaving = asyncio.create_task(_left(receive), name="export")
        try:
            async for chunk in self._chunks:
                if leaving.done():
                    return
                async with asyncio.timeout(TAKES_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (SmsFleetError, TimeoutError) as error:
            log.warning("export ended early", error=repr(error)[:300])
        finally:
            leaving.cancel()


async def _left(receive: Receive) -> None:
    """Returns when the browser has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


HANDLERS: Final = (export,)
