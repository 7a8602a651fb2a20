"""Lets pages of other sites call the API from a browser, for installations that say so."""

from collections.abc import Sequence
from typing import Any, Final

from services.gateway.asgi import Receive, Scope, Send

MAX_AGE_S: Final = 600
"""How long a browser may remember what it was allowed."""

_ANY: Final = "*"
_PREFLIGHT: Final = [
    (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key"),
    (b"access-control-max-age", str(MAX_AGE_S).encode()),
    (b"content-length", b"0"),
]
_EXPOSED: Final = (b"access-control-expose-headers", b"retry-after")


class Cors:
    """Wraps the app: answers preflights, and tells browsers who may read the other answers. No cookies are meant."""

    def __init__(self, app: Any, origins: Sequence[str]) -> None:
        """`origins` such as https://shop.example; `*` is every one."""
        self._app = app
        self._any = _ANY in origins
        self._origins = frozenset(origin.rstrip("/").lower().encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection or request."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin: bytes | None = headers.get(b"origin")
        if origin is None or not (self._any or origin.lower() in self._origins):
            await self._app(scope, receive, send)
            return
        allowed = [(b"access-control-allow-origin", b"*" if self._any else origin), (b"vary", b"Origin")]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await send({"type": "http.response.start", "status": 204, "headers": [*allowed, *_PREFLIGHT]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message["headers"], *allowed, _EXPOSED]}
            await send(message)

        await self._app(scope, receive, sending)


def listed(origins: str) -> list[str]:
    """The origins of a comma-separated setting."""
    return [origin.strip() for origin in origins.split(",") if origin.strip()]
