"""Counts the SQL statements that a request to the gateway causes in every service of the test's process.

What a service does by itself meanwhile is told apart by its context: the mark of a request is inherited by whatever it
awaits or starts, and goes to the other services as a header of its questions.
"""

import contextvars
import functools
from typing import Any, Final

import asyncpg
import pytest
from asyncpg import introspection
from faststream.nats import NatsMessage
from nats.aio.client import Client

from services.gateway.asgi import Receive, Scope, Send
from services.gateway.measured import Measured
from shared.bus.rpc import Responder

HEADER: Final = "Smsfleet-Test-Visit"

_visiting: contextvars.ContextVar[bool] = contextvars.ContextVar("visiting", default=False)


def counted(patch: pytest.MonkeyPatch) -> list[str]:
    """The statements of visits, of all services that are opened from now on."""
    statements: list[str] = []
    create_pool, serve, ask, handle = asyncpg.create_pool, Measured.__call__, Client.request, Responder._handle

    def note(record: Any) -> None:
        # asyncpg calls it by the loop, which keeps the context of the statement.
        if _visiting.get() and not _is_drivers(record.query):
            statements.append(record.query)

    async def listen(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(note)

    async def asking(self: Client, subject: str, *more: Any, **named: Any) -> Any:
        if _visiting.get() and subject.startswith("rpc."):
            named["headers"] = {HEADER: "yes"}
        return await ask(self, subject, *more, **named)

    @functools.wraps(handle)
    async def answering(self: Responder[Any, Any], message: NatsMessage) -> bytes:
        token = _visiting.set(HEADER in (message.headers or {}))
        try:
            return await handle(self, message)
        finally:
            _visiting.reset(token)

    async def serving(self: Measured, scope: Scope, receive: Receive, send: Send) -> None:
        _visiting.set(True)
        await serve(self, scope, receive, send)

    patch.setattr(asyncpg, "create_pool", functools.partial(create_pool, init=listen))
    patch.setattr(Client, "request", asking)
    patch.setattr(Responder, "_handle", answering)
    patch.setattr(Measured, "__call__", serving)
    return statements


def _is_drivers(statement: str) -> bool:
    """Whether asyncpg asks of a type that a connection has not met yet, whichever page is the first to use it."""
    return statement in (introspection.INTRO_LOOKUP_TYPES, introspection.INTRO_LOOKUP_TYPES_13) or "'jit'" in statement
