"""Puts the dashboard together: lets nobody in whom a route does not name, and takes no form that is not our own.

A handler declares its need as `opt={OPT: "sms:send"}` (services/gateway/scopes.py), finds its visitor in `request.user`
and its form, already checked, as `form`; what else it names of `Desk` it gets.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import structlog
from litestar import Request, Response, Router, get
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from services.gateway.admission import Admission
from services.gateway.dashboard.door.forms import Unsent, form_of, keep, posted, unsent
from services.gateway.dashboard.door.headers import guarded
from services.gateway.dashboard.door.signin import MAX_NEXT_CHARS, Door, safe_next
from services.gateway.dashboard.door.visitors import Visitors
from services.gateway.dashboard.frame.assets import Assets, static
from services.gateway.dashboard.frame.languages import COOKIE, LANGUAGES
from services.gateway.dashboard.frame.live import Live, live
from services.gateway.dashboard.frame.pages import PREFIX, Pages, link, visitor_of
from services.gateway.dashboard.messages.export import Exports
from services.gateway.dashboard.phones.enrol import Reach
from services.gateway.dashboard.store.messages import Messages
from services.gateway.dashboard.store.overview import Overview
from services.gateway.dashboard.store.threads import Threads
from services.gateway.errors import MissingScope, RateLimited, RequestTimeout, RequestTooLarge
from services.gateway.scopes import AUTHENTICATED, OPT, PUBLIC
from services.gateway.tracking import Tracker
from shared.bus.rpc import RpcClient
from shared.errors import Conflict, Forbidden, Invalid, NotFound, SmsFleetError, Unavailable

log = structlog.get_logger()

SIGN_IN: Final = f"{PREFIX}/sign-in"
LANGUAGE_LIVES_S: Final = 365 * 86_400


class NotSignedIn(SmsFleetError):
    """Nobody is signed in."""

    code = "not_signed_in"


_STATUSES: Final[dict[type[SmsFleetError], int]] = {
    NotSignedIn: 401,
    Forbidden: 403,
    NotFound: 404,
    RequestTimeout: 408,
    Conflict: 409,
    RequestTooLarge: 413,
    Invalid: 400,
    RateLimited: 429,
    Unavailable: 503,
}


class Desk(NamedTuple):
    """What handlers can ask for by name."""

    rpc: RpcClient
    pages: Pages
    assets: Assets
    live: Live
    visitors: Visitors
    door: Door
    admission: Admission
    tracker: Tracker
    messages: Messages
    overview: Overview
    threads: Threads
    exports: Exports
    reach: Reach


class Dashboard:
    """The dashboard's router, and its pages for what the framework refuses."""

    def __init__(self, desk: Desk, handlers: Sequence[ControllerRouterHandler]) -> None:
        """`handlers` of all pages."""
        self._desk = desk
        self.router = Router(
            path=PREFIX,
            route_handlers=[*handlers, speak, live, static],
            guards=[self._guard],
            before_request=self._check_form,
            after_request=guarded,
            dependencies={name: _provided(value) for name, value in desk._asdict().items()}
            | {"form": Provide(form_of, sync_to_thread=False)},
            exception_handlers={SmsFleetError: self.error, HTTPException: self.error, 500: self.error},
            include_in_schema=False,
        )

    def __deepcopy__(self, memo: object) -> "Dashboard":
        """Itself: Litestar copies the handlers of a router, and the methods given to it with what they belong to."""
        return self

    def error(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """The page of an error; the sign-in page for whoever must sign in first."""
        lost = unsent(request)
        if isinstance(error, NotSignedIn) and (lost is None or _is_script(request)):
            return guarded(_to_sign_in(request))
        status = _status(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Unavailable | HTTPException):
            # By its template: the path of a sign-in link holds its token.
            log.error("page failed", path=request.scope["path_template"], exc_info=error)
        code = error.code if isinstance(error, SmsFleetError) else ""
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, RateLimited | Unavailable) else {}
        again, is_whole = _again(lost) if lost else (PREFIX, True)
        if isinstance(error, NotSignedIn):
            again = f"{SIGN_IN}?next={quote(again)}"
        shown = self._desk.pages.show(
            request,
            "error.html",
            status=status,
            headers=headers,
            code=code,
            status_class=str(status)[0],
            lost=lost,
            again=again,
            is_whole=is_whole,
            # What a form is sent to need not be a page.
            source="" if request.method == "GET" else again,
        )
        return guarded(shown)

    async def _guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        need = handler.opt.get(OPT)
        if need is None:
            # The framework's own answer to OPTIONS; and no handler of ours is let through that forgot to say.
            raise MethodNotAllowedException
        if need == PUBLIC:
            return
        try:
            visitor = await self._desk.visitors.identify(connection)
            if visitor is None:
                raise NotSignedIn
            connection.scope["user"] = visitor
            if need not in (AUTHENTICATED, *visitor.verdict.scopes):
                raise MissingScope(need)
        except SmsFleetError:
            if isinstance(connection, Request) and connection.method == "POST":
                await keep(connection)
            raise

    async def _check_form(self, request: Request[Any, Any, Any]) -> None:
        if request.method != "GET":
            visitor = visitor_of(request)
            await posted(request, visitor.session if visitor else None, self._desk.door.cookies)


@get("/language/{language:str}", opt={OPT: PUBLIC}, sync_to_thread=False)
def speak(request: Request[Any, Any, Any], language: FromPath[str]) -> Redirect:
    """Picks a language and goes back to where the visitor was."""
    answer = Redirect(safe_next(request.query_params.get("next", "")), status_code=303)
    if language in LANGUAGES:
        answer.set_cookie(COOKIE, language, max_age=LANGUAGE_LIVES_S, path=PREFIX, samesite="lax", httponly=True)
    return answer


def is_inside(path: str) -> bool:
    """Whether a path belongs to the dashboard."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def _to_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """To the sign-in page, and from there back to this one; scripts are told by a status instead."""
    if _is_script(request):
        return Response(b"", status_code=401)
    path: str = request.scope["path"]
    if path == PREFIX or request.method != "GET":
        return Redirect(SIGN_IN, status_code=303)
    query: str = request.scope["query_string"].decode("latin-1")
    wanted = path + (f"?{query}" if query else "")
    return Redirect(f"{SIGN_IN}?next={quote(wanted[:1000])}", status_code=303)


def _is_script(request: Request[Any, Any, Any]) -> bool:
    return request.headers.get("sec-fetch-dest") == "empty" or "text/event-stream" in request.headers.get("accept", "")


def _again(lost: Unsent) -> tuple[str, bool]:
    """The form of a new message with this text in it, and whether it is: an address does not hold every text."""
    whole = link("/send", **lost._asdict())
    is_whole = len(whole) <= MAX_NEXT_CHARS
    return whole if is_whole else link("/send"), is_whole


def _status(error: Exception) -> int:
    if isinstance(error, HTTPException):
        return error.status_code
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)


def _provided(value: Any) -> Provide:
    return Provide(lambda: value, use_cache=True, sync_to_thread=False)
