"""The operations port of a service: liveness, readiness and metrics, apart from any public traffic."""

from collections.abc import Callable
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], str]
"""Returns "ok", or what is wrong in a few words. It looks at an outcome that others keep; it does no I/O."""

Scope = dict[str, Any]


class Health:
    """The named checks of one service."""

    def __init__(self, running: str = "ok") -> None:
        """No checks: ready as soon as started, unless `running` says why it is not."""
        self._running = running
        self._checks: dict[str, Check] = {"running": lambda: self._running}

    def add(self, name: str, check: Check) -> None:
        """Adds a check to readiness."""
        self._checks[name] = check

    def leave(self) -> None:
        """The service is told to stop: it is not ready from now on, and ends what it has begun."""
        self._running = "stopping"

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether every check says "ok", and what each says."""
        results = {name: check() for name, check in self._checks.items()}
        return all(result == "ok" for result in results.values()), results

    def answer(self, path: str) -> tuple[int, bytes] | None:
        """Status and JSON body of /health/live and /health/ready; None for other paths."""
        if path == "/health/live":
            return 200, b'{"status":"ok","checks":{}}'
        if path == "/health/ready":
            ok, checks = self.ready()
            body = {"status": "ok" if ok else "unavailable", "checks": checks}
            return (200 if ok else 503), msgspec.json.encode(body)
        return None


def operations_app(health: Callable[[], Health]) -> Any:
    """The ASGI app of the operations port: /health/live, /health/ready, /metrics. `health` says whose it is now."""

    async def app(scope: Scope, _receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        content_type = "application/json"
        if path == "/metrics":
            status, body, content_type = 200, generate_latest(), CONTENT_TYPE_LATEST
        else:
            status, body = health().answer(path) or (404, b'{"status":"not found","checks":{}}')
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
