"""Who looks at a page: the session that their browser shows, and what auth says of its user now."""

from typing import Any, NamedTuple

from litestar import Request
from litestar.connection import ASGIConnection

from services.gateway.dashboard.door.cookies import Cookies
from services.gateway.dashboard.door.sessions import Session, Sessions
from services.gateway.errors import Suspended
from services.gateway.verdicts import Verdicts
from shared.contracts.rpc.audit import Actor
from shared.contracts.rpc.auth import Verdict


class Visitor(NamedTuple):
    """A signed-in user. What they may do are scopes (docs/api/auth.md); `verdict.account` is never None."""

    session: Session
    verdict: Verdict
    address: str

    @property
    def account(self) -> int:
        """The account that everything is read from and done in."""
        return self.session.account

    @property
    def actor(self) -> Actor:
        """Who the audit log names."""
        return Actor(self.session.user, self.address)

    def may(self, scope: str) -> bool:
        """Whether this user is allowed that."""
        return scope in self.verdict.scopes


VisitorRequest = Request[Visitor, Any, Any]
"""A request whose `user` is the visitor."""


class Visitors:
    """Finds the visitor behind a request."""

    def __init__(self, sessions: Sessions, users: Verdicts, cookies: Cookies) -> None:
        """`users`: verdicts on users."""
        self._sessions = sessions
        self._users = users
        self._cookies = cookies

    async def identify(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Visitor | None:
        """The visitor; None for whoever is not signed in, or not any more. Raises Suspended, Unavailable."""
        token = self._cookies.session(connection)
        session = await self._sessions.find(token) if token else None
        if session is None:
            return None
        verdict = await self._users.of(session.digest())
        if verdict.account != session.account:
            return None
        if not verdict.active:
            raise Suspended
        client = connection.scope["client"]
        return Visitor(session, verdict, client[0] if client else "")
