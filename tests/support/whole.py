"""All four services in the test's process, each of which can be away for a while, and the routes of the dashboard."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec
import pytest
from litestar import Litestar
from nats.aio.msg import Msg

from services.dispatcher import app as dispatcher_app
from services.dispatcher.settings import DispatcherSettings
from services.gateway import app as gateway_app
from services.gateway.measured import Measured
from services.gateway.scopes import OPT
from services.webhooks import app as webhooks_app
from services.webhooks.settings import WebhooksSettings
from shared.db.pool import connected_pool
from shared.runtime.service import Service
from tests.support.auths import running_auth
from tests.support.servers import Servers
from tests.support.smsgate_world import World, gateway_settings, ground

HOME: Final = "/dashboard"

_PARAMETER: Final = re.compile(r"\{([a-z_]+)(?::[a-z]+)?\}")


class Whole(World):
    """An installation with all its services. `app` is the gateway's."""

    app: Litestar

    def __init__(self, opens: Mapping[str, Callable[[], AbstractAsyncContextManager[Service]]], *known: Any) -> None:
        """Made by `whole`."""
        super().__init__(*known)
        self._opens = opens
        self._running: dict[str, contextlib.AsyncExitStack] = {}

    async def start(self, service: str) -> None:
        """It runs again."""
        self._running[service] = stack = contextlib.AsyncExitStack()
        await stack.enter_async_context(self._opens[service]())

    async def stop(self, service: str) -> None:
        """It is away, if it was there."""
        if (stack := self._running.pop(service, None)) is not None:
            await stack.aclose()

    @contextlib.asynccontextmanager
    async def without(self, service: str, *, hangs: bool = False) -> AsyncIterator[None]:
        """It is away for the context's time. `hangs`: it takes every question and answers none."""
        await self.stop(service)
        hung = await self.client.subscribe(f"rpc.{service}.>", cb=_nothing) if hangs else None
        await self.client.flush()
        try:
            yield
        finally:
            if hung is not None:
                await hung.unsubscribe()
            await self.start(service)


async def _nothing(_: Msg) -> None:
    """Takes a question."""


@contextlib.asynccontextmanager
async def whole(servers: Servers, **changes: Any) -> AsyncIterator[Whole]:
    """A running installation with a database and an account of its own; `changes` are settings of the gateway."""
    async with ground(servers) as (settings, client), connected_pool(settings, "test") as pool:
        told, gateway = msgspec.structs.asdict(settings), gateway_settings(settings, **changes)
        opens: dict[str, Callable[[], AbstractAsyncContextManager[Service]]] = {
            "auth": lambda: running_auth(settings),
            "dispatcher": lambda: dispatcher_app.open_service(DispatcherSettings(**told)),
            "webhooks": lambda: webhooks_app.open_service(WebhooksSettings(**told)),
            "gateway": lambda: gateway_app.open_service(gateway),
        }
        here = Whole(opens, gateway, client, pool)
        try:
            with pytest.MonkeyPatch.context() as patch:
                apps = noted(patch)
                for service in opens:
                    await here.start(service)
            (here.app,) = apps
            await here.begin()
            yield here
        finally:
            for service in reversed(opens):
                await here.stop(service)


def noted(patch: pytest.MonkeyPatch) -> list[Litestar]:
    """The Litestar apps of the gateways that are opened from now on."""
    made: list[Litestar] = []

    class Noting(Measured):
        def __init__(self, app: Litestar, *more: Any) -> None:
            made.append(app)
            super().__init__(app, *more)

    patch.setattr(gateway_app, "Measured", Noting)
    return made


def templates(app: Litestar, method: str) -> Iterator[tuple[str, str]]:
    """Each route of the dashboard with this method, as `/dashboard/phones/{device}`, and what it needs."""
    for route in app.routes:
        if route.path == HOME or route.path.startswith(f"{HOME}/"):
            for handler in getattr(route, "route_handlers", []):
                if method in handler.http_methods:
                    yield _PARAMETER.sub(r"{\1}", route.path), handler.opt[OPT]
