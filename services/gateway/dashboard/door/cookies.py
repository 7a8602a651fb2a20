"""What the browser keeps: its names, and when it may be shown over https only. Pure.

An installation is reached in several ways at once, such as https for the world and plain http in the LAN. So whether a
cookie is `Secure` is decided for each request, and such a cookie has a name that browsers take over https only (RFC
6265bis, 4.1.3.1): what somebody on the network plants over http is never read over https.
"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Response
from litestar.connection import ASGIConnection

from services.gateway.dashboard.door.sessions import LIVES_S
from shared.security.secrets import new_token

PATH: Final = "/dashboard"
FORM_LIVES_S: Final = 86_400
"""How long the form of somebody who is not signed in is good, in seconds."""

_SESSION: Final = "smsfleet_session"
_FORM: Final = "smsfleet_form"
_TOKEN: Final = re.compile("[0-9a-f]{64}")

Connection = ASGIConnection[Any, Any, Any, Any]


class Cookies:
    """Reads and gives the two tokens of a browser: of its session, and of its forms before there is one."""

    def __init__(self, base_url: str) -> None:
        """`base_url`: how the world reaches the gateway."""
        public = urlsplit(base_url)
        self._https_host = _host(public.netloc) if public.scheme == "https" else None

    def session(self, connection: Connection) -> str | None:
        """The token that the browser shows as its session's: 64 hex characters."""
        return self._read(connection, _SESSION)

    def form(self, connection: Connection) -> str | None:
        """The token that the browser shows as its forms': 64 hex characters."""
        return self._read(connection, _FORM)

    def give_session(self, answer: Response[Any], connection: Connection, token: str) -> None:
        """Lets the browser keep a session's token; the one of its forms has served its purpose."""
        self._give(answer, connection, _SESSION, token, LIVES_S)
        self._take(answer, connection, _FORM)

    def give_form(self, answer: Response[Any], connection: Connection, token: str) -> None:
        """Lets the browser keep the token of its forms."""
        self._give(answer, connection, _FORM, token, FORM_LIVES_S)

    def take_session(self, answer: Response[Any], connection: Connection) -> None:
        """Lets the browser forget its session's token."""
        self._take(answer, connection, _SESSION)

    def form_token(self, connection: Connection) -> str:
        """The token of the browser's forms: a new one if it has none, so that several open pages share one."""
        return self.form(connection) or new_token()

    def is_secure(self, connection: Connection) -> bool:
        """Whether the browser comes by https, as a trusted proxy says or the public URL's host tells."""
        if connection.scope["scheme"] == "https":
            return True
        host = connection.headers.get("host", "")
        return self._https_host is not None and _host(host) == self._https_host

    def _read(self, connection: Connection, name: str) -> str | None:
        wanted = self._name(connection, name)
        pairs = (part.strip().partition("=") for part in connection.headers.get("cookie", "").split(";"))
        # Of several the first has the longest path (RFC 6265, 5.4): ours comes before what was planted for the host.
        token = next((value for known, _, value in pairs if known == wanted), "")
        return token if _TOKEN.fullmatch(token) else None

    def _give(self, answer: Response[Any], connection: Connection, name: str, token: str, lives_s: int) -> None:
        answer.set_cookie(
            self._name(connection, name),
            token,
            max_age=lives_s,
            path=PATH,
            httponly=True,
            secure=self.is_secure(connection),
            samesite="lax",
        )

    def _take(self, answer: Response[Any], connection: Connection, name: str) -> None:
        # A browser passes over whatever concerns such a name and is not itself `Secure`.
        self._give(answer, connection, name, "", 0)

    def _name(self, connection: Connection, name: str) -> str:
        return f"__Secure-{name}" if self.is_secure(connection) else name


def _host(netloc: str) -> str:
    """The host in lower case; with its port, unless that is the one of https."""
    return netloc.lower().removesuffix(":443")
