"""The app's REST calls to its server; any answer but 2xx, and any that does not parse, is a failure like all others."""

import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from agent.smsgate import facts, wire
from agent.smsgate.errors import Failure, Unauthorized

_DEADLINES = aiohttp.ClientTimeout(
    total=facts.REST_TOTAL_S, sock_connect=facts.REST_SOCKET_S, sock_read=facts.REST_SOCKET_S
)
_LOOPBACK = ("127.0.0.1",)

NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
"""What a call can raise; ValueError: no URL, or a line without an end."""


class Rest:
    """The calls of one phone; each raises Failure."""

    def __init__(self, session: aiohttp.ClientSession, base: str, *, cleartext: bool) -> None:
        """`base` is what the person typed, to which the app just adds its paths; `cleartext`: http is allowed."""
        self._session = session
        self._base = base
        self._cleartext = cleartext

    def url(self, path: str) -> URL:
        """Where a path is. Raises Failure where the app may not go."""
        check_cleartext(self._base, self._cleartext)
        return URL(self._base + path, encoded=True)

    async def register(
        self, private_token: str | None, name: str, sims: Sequence[wire.Sim], push: str | None
    ) -> wire.Registered:
        """A new registration, under the private token if there is one."""
        return wire.registered(
            await self._call("POST", "/device", private_token, wire.device_body(sims, push, name=name))
        )

    async def update(self, token: str, device: str, sims: Sequence[wire.Sim], push: str | None) -> None:
        """The device as it is now. Raises Unauthorized if the server does not know the token."""
        await self._call("PATCH", "/device", token, wire.device_body(sims, push, id=device))

    async def public_ip(self, token: str | None) -> bytes:
        """The answer to GET /device, which works without a token, too."""
        return await self._call("GET", "/device", token)

    async def messages(self, token: str, order: str) -> bytes:
        """What is to be sent, as it came."""
        return await self._call("GET", f"/message?order={order.lower()}", token)

    async def report(self, token: str, body: bytes) -> None:
        """A message's state; whatever the server says in the body is not read."""
        await self._call("PATCH", "/message", token, body)

    async def webhooks(self, token: str) -> bytes:
        """The list of webhooks, as it came."""
        return await self._call("GET", "/webhooks", token)

    async def settings(self, token: str) -> bytes:
        """The settings, as they came."""
        return await self._call("GET", "/settings", token)

    async def _call(self, method: str, path: str, token: str | None, body: bytes | None = None) -> bytes:
        headers = {"User-Agent": facts.REST_AGENT}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = self.url(path)
        try:
            async with self._session.request(method, url, headers=headers, data=body, timeout=_DEADLINES) as response:
                answer = await response.read()
        except NETWORK_ERRORS as error:
            raise Failure(f"{method} {path}: {type(error).__name__}") from error
        if response.status == 401:
            raise Unauthorized(f"{method} {path}: 401")
        if not 200 <= response.status < 300:
            raise Failure(f"{method} {path}: {response.status}")
        return answer


def check_cleartext(url: str, allowed: bool) -> None:
    """Raises Failure for an http URL, which the released app may open on its own loopback only (1.1)."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Failure("no URL") from error
    if parts.scheme != "https" and not allowed and parts.hostname not in _LOOPBACK:
        raise Failure("cleartext is not permitted")


def new_session(connector: aiohttp.TCPConnector | None, tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
    """A session of one purpose; with a connector of its own where none is shared."""
    return aiohttp.ClientSession(
        connector=connector or aiohttp.TCPConnector(ssl=tls or True),
        connector_owner=connector is None,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
