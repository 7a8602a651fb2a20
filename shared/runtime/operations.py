"""The operations port of a service: liveness, readiness and metrics, apart from any public traffic."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.errors import Startup

Check = Callable[[], str]
"""Returns "ok", or what is wrong in a few words. It looks at an outcome that others keep; it does no I/O."""

Scope = dict[str, Any]


class Health:
    """The named checks of one service."""

    def __init__(self) -> None:
        """No checks: ready as soon as started."""
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Adds a check to readiness."""
        self._checks[name] = check

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


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the service that owns it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes no signal."""
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, host: str, port: int, **options: Any) -> AsyncIterator[int]:
    """Serves an ASGI app while the context is open; yields the port. In-flight requests get 10 s at the end.

    Raises Startup when the port is taken.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=10,
        **options,
    )
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise Startup(
            f"Port {port} on {host} is taken. Stop what holds it or choose another with SMSFLEET_PORT."
        ) from None
    server = QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[socket]), name=f"http:{port}")
    try:
        while not server.started:
            if task.done():
                raise Startup(f"The HTTP server on port {port} did not start.")
            await asyncio.sleep(0.005)
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=15)
        socket.close()


def operations_app(health: Health) -> Any:
    """The ASGI app of the operations port: /health/live, /health/ready, /metrics."""

    async def app(scope: Scope, _receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        content_type = "application/json"
        if path == "/metrics":
            status, body, content_type = 200, generate_latest(), CONTENT_TYPE_LATEST
        else:
            status, body = health.answer(path) or (404, b'{"status":"not found","checks":{}}')
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
