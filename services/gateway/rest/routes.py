"""Puts the routes of /v1 together and lets nobody in whom they do not name.

A handler declares its need as `opt={OPT: "sms:send"}` (services/gateway/scopes.py), finds its caller in `request.user`,
and gets `rpc` where it names that.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from litestar import Request, Response, Router
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

from services.gateway.asgi import BODY_DEADLINE_S
from services.gateway.callers import Callers
from services.gateway.errors import MissingScope, RequestTimeout
from services.gateway.rest.problems import problem
from services.gateway.scopes import AUTHENTICATED, OPT
from shared.bus.rpc import RpcClient
from shared.contracts.rpc.auth import Verdict
from shared.errors import Invalid, SmsFleetError
from shared.model.storable import MAX_BODY_BYTES

log = structlog.get_logger()

PREFIX: Final = "/v1"

Caller = Verdict
RestRequest = Request[Caller, Any, Any]
"""A request whose `user` is the caller; its `account` is never None."""

Rpc = NamedDependency[RpcClient]
"""What a handler asks the services through."""


def v1(callers: Callers, rpc: RpcClient, handlers: Sequence[ControllerRouterHandler]) -> Router:
    """The router of these handlers, each of which gets authenticated callers with the scope that it declares."""

    def asked() -> RpcClient:
        return rpc

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        need = handler.opt[OPT]
        headers = dict(connection.scope["headers"])
        key = connection.query_params.get("apikey") or None
        caller = await callers.identify(key, headers.get(b"authorization"), connection.scope["client"])
        if need not in (AUTHENTICATED, *caller.scopes):
            raise MissingScope(need)
        connection.scope["user"] = caller

    return Router(
        path=PREFIX,
        route_handlers=handlers,
        guards=[guard],
        dependencies={"rpc": Provide(asked, use_cache=True, sync_to_thread=False)},
        middleware=[_punctual],
        exception_handlers={
            SmsFleetError: problem,
            HTTPException: problem,
            RecursionError: _unreadable,
            UnicodeDecodeError: _unreadable,
            500: _failed,
        },
        request_max_body_size=MAX_BODY_BYTES,
    )


def account_of(request: RestRequest) -> int:
    """The caller's account."""
    account = request.user.account
    assert account is not None
    return account


def _punctual(app: ASGIApp) -> ASGIApp:
    """Raises RequestTimeout in whoever reads a body that takes too long to arrive."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        ends_at = asyncio.get_running_loop().time() + BODY_DEADLINE_S

        async def in_time() -> Any:
            try:
                async with asyncio.timeout_at(ends_at):
                    return await receive()
            except TimeoutError:
                raise RequestTimeout from None

        await app(scope, in_time, send)

    return serve


def _unreadable(request: Request[Any, Any, Any], _: Exception) -> Response[bytes]:
    """Litestar's own reading of JSON lets these through: bytes that are no UTF-8, and too many levels."""
    return problem(request, Invalid("The body is no JSON that can be read."))


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("request failed", path=request.scope["path"], exc_info=error)
    return problem(request, error)
