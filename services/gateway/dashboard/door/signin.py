"""Lets people in and out: by password, by a link that is good once, and out here or everywhere."""

from typing import Any, Final
from urllib.parse import unquote

import structlog
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect, Template

from services.gateway.dashboard.door.cookies import Cookies
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.sessions import Sessions, csrf_of
from services.gateway.dashboard.door.visitors import VisitorRequest, Visitors
from services.gateway.dashboard.frame.pages import PREFIX, Pages, go
from services.gateway.errors import RateLimited, Suspended
from services.gateway.guesses import Guesses
from services.gateway.scopes import AUTHENTICATED, OPT, PUBLIC
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.people import CheckUser, SignOutUser, UseLink, User
from shared.errors import Conflict, Forbidden
from shared.security.secrets import digest

log = structlog.get_logger()

CHECK_S: Final = 12.0
"""Longest that a password is waited for, in seconds: hashing takes its time, and longer while others sign in."""

HELD_S: Final = 1
"""What Retry-After says to an address that has guessed too much."""

MAX_NEXT_CHARS: Final = 1000

AnyRequest = Request[Any, Any, Any]


class Door:
    """Asks auth who somebody is, and keeps a session of whom it lets in."""

    def __init__(
        self, rpc: RpcClient, sessions: Sessions, visitors: Visitors, cookies: Cookies, guesses: Guesses
    ) -> None:
        """`guesses` slows an address that tries one password or link after the other."""
        self._rpc = rpc
        self._sessions = sessions
        self._visitors = visitors
        self.cookies = cookies
        self._guesses = guesses

    async def is_open(self, request: AnyRequest) -> bool:
        """Whether this browser is signed in already. Raises Unavailable."""
        try:
            return await self._visitors.identify(request) is not None
        except Suspended:
            # Whoever is held up by their account may still come in as somebody else.
            return False

    async def by_password(self, request: AnyRequest, login: str, password: str) -> User:
        """Who has this login and password. Raises Forbidden, RateLimited, Conflict (`slow_down`), Unavailable."""
        address, guess = _address(request), digest(f"{login}\0{password}")
        self._hold(address)
        await self._sessions.reach()
        asked = CheckUser(login=login, password=password, address=address)
        try:
            return await self._rpc.ask(registry.AUTH_USER_CHECK, asked, CHECK_S)
        except Forbidden:
            self._guesses.missed(address, guess)
            raise

    async def by_link(self, request: AnyRequest, token: str) -> User:
        """Whom this link lets in; it is spent. Raises Forbidden, RateLimited, Unavailable."""
        address, hashed = _address(request), digest(token)
        self._hold(address)
        # Else the link would be spent for nothing.
        await self._sessions.reach()
        try:
            return await self._rpc.ask(registry.AUTH_LINK_USE, UseLink(digest=hashed, address=address))
        except Forbidden:
            self._guesses.missed(address, hashed)
            raise

    async def let_in(self, request: AnyRequest, user: User, answer: Response[Any]) -> None:
        """Gives the browser a session of its own under a new token, and ends the one that it came with."""
        former = self.cookies.session(request)
        token, _ = await self._sessions.open(user)
        if former is not None:
            await self._sessions.close(former)
        self.cookies.give_session(answer, request, token)

    async def let_out(self, request: VisitorRequest, answer: Response[Any]) -> None:
        """Ends this browser's session. Raises Unavailable."""
        if (token := self.cookies.session(request)) is not None:
            await self._sessions.close(token)
        self.cookies.take_session(answer, request)

    async def let_out_everywhere(self, request: VisitorRequest, answer: Response[Any]) -> None:
        """Ends every session of this user, at every gateway. Raises Unavailable."""
        visitor = request.user
        asked = SignOutUser(account=visitor.account, id=visitor.session.user, actor=visitor.actor)
        await self._rpc.ask(registry.AUTH_USER_SIGN_OUT, asked)
        await self._sessions.close_all(visitor.session.user)
        self.cookies.take_session(answer, request)

    def _hold(self, address: str) -> None:
        if not self._guesses.may_ask(address):
            raise RateLimited(HELD_S)


@get("/sign-in", opt={OPT: PUBLIC})
async def sign_in_page(
    request: AnyRequest, pages: NamedDependency[Pages], door: NamedDependency[Door]
) -> Response[Any]:
    """The form; whoever is signed in goes on."""
    wanted = safe_next(request.query_params.get("next", ""))
    if await door.is_open(request):
        return Redirect(wanted, status_code=303)
    return _form(request, pages, door.cookies, "signin/form.html", wanted=wanted)


@post("/sign-in", opt={OPT: PUBLIC}, status_code=200)
async def sign_in(
    request: AnyRequest, form: NamedDependency[Form], pages: NamedDependency[Pages], door: NamedDependency[Door]
) -> Response[Any]:
    """In by login and password, or the form again with a sentence that says no more than that it was not right."""
    login, wanted = form.get("login", ""), safe_next(form.get("next", ""))
    try:
        user = await door.by_password(request, login, form.get("password", ""))
    except (Forbidden, RateLimited, Conflict) as error:
        status, why = (401, "wrong") if isinstance(error, Forbidden) else (429, "slow_down")
        return _form(
            request, pages, door.cookies, "signin/form.html", status, wanted=wanted, login=login[:254], fault=why
        )
    answer = Redirect(wanted, status_code=303)
    await door.let_in(request, user, answer)
    return answer


@get("/link/{token:str}", opt={OPT: PUBLIC}, sync_to_thread=False)
def link_page(request: AnyRequest, pages: NamedDependency[Pages], door: NamedDependency[Door]) -> Response[Any]:
    """A button: programs that look at links before people do must not spend them."""
    return _form(request, pages, door.cookies, "signin/link.html")


@post("/link/{token:str}", opt={OPT: PUBLIC}, status_code=200)
async def use_link(
    request: AnyRequest, token: FromPath[str], pages: NamedDependency[Pages], door: NamedDependency[Door]
) -> Response[Any]:
    """In by a link that was not used before."""
    try:
        user = await door.by_link(request, token)
    except (Forbidden, RateLimited) as error:
        status, why = (403, "link_wrong") if isinstance(error, Forbidden) else (429, "slow_down")
        return _form(request, pages, door.cookies, "signin/link.html", status, fault=why)
    answer = Redirect(PREFIX, status_code=303)
    await door.let_in(request, user, answer)
    return answer


@post("/sign-out", opt={OPT: AUTHENTICATED}, status_code=303)
async def sign_out(request: VisitorRequest, door: NamedDependency[Door]) -> Redirect:
    """Out, in this browser."""
    answer = go("/sign-in", "signin.notice.signed_out")
    await door.let_out(request, answer)
    return answer


@post("/sign-out-everywhere", opt={OPT: AUTHENTICATED}, status_code=303)
async def sign_out_everywhere(request: VisitorRequest, door: NamedDependency[Door]) -> Redirect:
    """Out, in every browser of this user."""
    answer = go("/sign-in", "signin.notice.signed_out_everywhere")
    await door.let_out_everywhere(request, answer)
    return answer


HANDLERS: Final = [sign_in_page, sign_in, link_page, use_link, sign_out, sign_out_everywhere]


def safe_next(wanted: str) -> str:
    """The page of the dashboard that somebody was on their way to; the overview for whatever else is wanted.

    A browser takes a backslash for a slash, drops tabs and line breaks, and resolves dots, encoded ones too.
    """
    path, _, _ = wanted.partition("?")
    plain = unquote(unquote(path))
    inside = path == PREFIX or path.startswith(f"{PREFIX}/")
    segments = plain.removesuffix("/").split("/")[1:]
    harmless = wanted.isprintable() and plain.isprintable() and not set("\\#") & set(wanted + plain)
    if len(wanted) > MAX_NEXT_CHARS or not inside or not harmless or not set(segments).isdisjoint(("", ".", "..")):
        return PREFIX
    return wanted


def _form(
    request: AnyRequest,
    pages: Pages,
    cookies: Cookies,
    template: str,
    status: int = 200,
    *,
    wanted: str = PREFIX,
    login: str = "",
    fault: str = "",
) -> Template:
    """A page for whoever is not signed in, whose form holds what its browser's cookie says."""
    token = cookies.form_token(request)
    page = pages.show(request, template, status=status, csrf=csrf_of(token), next=wanted, login=login, fault=fault)
    cookies.give_form(page, request, token)
    return page


def _address(request: AnyRequest) -> str:
    client = request.scope["client"]
    return client[0] if client else ""
