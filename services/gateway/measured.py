"""Counts and times every answer of the gateway, by the template of its route and never by its path."""

import time
from collections.abc import Awaitable, Iterable
from typing import Any, Final

from prometheus_client import Counter

from services.gateway.asgi import Receive, Scope, Send
from services.gateway.metrics import REQUESTS, SECONDS

METHODS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
OTHER: Final = "other"
"""Stands for methods and paths that strangers have made up."""

NO_ANSWER: Final = 0
"""The status of a request whose caller hung up first."""


class Meter:
    """Counts and times one route's answers."""

    def __init__(self, route: str) -> None:
        """`route` is its template, of which there are as many as there are routes."""
        self._route = route
        self._timer = SECONDS.labels(route)
        # prometheus_client's own look-up of labels costs more than its counting, and every message passes here.
        self._counters: dict[tuple[str, int], Counter] = {}

    def count(self, method: str, status: int, seconds: float) -> None:
        """An answer of this status, or NO_ANSWER, began after so many seconds."""
        counter = self._counters.get((method, status)) or self._counter(method, status)
        counter.inc()
        if status:
            self._timer.observe(seconds)

    def _counter(self, method: str, status: int) -> Counter:
        found = REQUESTS.labels(
            self._route, method if method in METHODS else OTHER, f"{status // 100}xx" if status else "none"
        )
        if method in METHODS:
            self._counters[method, status] = found
        return found


class Measured:
    """Wraps Litestar. Sockets pass: what is said there is counted by the frame."""

    def __init__(self, app: Any, own: Iterable[str] = (), mounts: Iterable[str] = ()) -> None:
        """`own`: routes that count their answers themselves; `mounts`: prefixes of which the router tells nothing."""
        self._app = app
        self._own = frozenset(own)
        self._mounts = tuple(mounts)
        self._meters: dict[str, Meter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection or request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        mount = self._mount(scope["path"])
        began = time.perf_counter()
        begun = False

        def count(status: int) -> None:
            route = mount or scope.get("path_template") or OTHER
            if route not in self._own:
                meter = self._meters.get(route)
                if meter is None:
                    meter = self._meters[route] = Meter(route)
                meter.count(scope["method"], status, time.perf_counter() - began)

        def sending(message: dict[str, Any]) -> Awaitable[None]:
            nonlocal begun
            if not begun and message["type"] == "http.response.start":
                begun = True
                count(message["status"])
            return send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if not begun:
                count(NO_ANSWER)

    def _mount(self, path: str) -> str | None:
        return next((mount for mount in self._mounts if path == mount or path.startswith(f"{mount}/")), None)
