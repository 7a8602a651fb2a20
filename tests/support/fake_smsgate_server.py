"""A small server of the app's protocol, written from the protocol's notes, whose answers a test can script."""

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

TOKEN = "private-token"


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    """Below the base URL, with single slashes."""

    typed: str
    """All of it, as the phone wrote it."""

    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    peer: object
    """The client's address and port: the same for one connection."""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


Script = Callable[[Request], Awaitable[web.StreamResponse | None]]
"""Answers instead of the server, or gives None to let it answer."""


def iso(unix_s: float) -> str:
    """A moment as the server writes it."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status(code: int, times: int = 1) -> Script:
    """Answers with this status, `times` times."""
    left = [times]

    async def answer(_: Request) -> web.StreamResponse | None:
        left[0] -= 1
        return web.Response(status=code) if left[0] >= 0 else None

    return answer


@dataclass
class FakeSmsgateServer:
    """Keeps what it was asked, gives what the test put in."""

    requests: list[Request] = field(default_factory=list)
    listed: list[dict[str, Any]] = field(default_factory=list)
    """What GET /message answers, whatever was reported."""

    raw: dict[str, bytes] = field(default_factory=dict)
    """Bodies that are answered as they stand, by `METHOD /path`."""

    webhooks: list[dict[str, str]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Device by token."""

    reports: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """Bodies of PATCH /message by message, in the order of their arrival."""

    calls: list[Request] = field(default_factory=list)
    """Webhook calls that came to `hook_url`."""

    scripts: dict[str, Script] = field(default_factory=dict)
    """By `METHOD /path`."""

    streams: dict[web.StreamResponse, asyncio.Transport] = field(default_factory=dict)
    """Open event channels."""

    port: int = 0

    @property
    def url(self) -> str:
        """What the person types into the app."""
        return f"http://127.0.0.1:{self.port}/mobile/v1"

    @property
    def hook_url(self) -> str:
        """A URL for webhooks."""
        return f"http://127.0.0.1:{self.port}/hook"

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests of one route."""
        return [each for each in self.requests if (each.method, each.path) == (method, path)]

    def states(self, message: str) -> list[str]:
        """The states that were reported of a message, as they arrived."""
        return [report["state"] for report in self.reports[message]]

    def add(self, message: str, **more: Any) -> None:
        """Lists one more message."""
        self.listed.append(
            {"id": message, "textMessage": {"text": f"text of {message}"}, "phoneNumbers": ["+15551234567"], **more}
        )

    def hook(self, event: str, name: str = "hook") -> None:
        """Lists one more webhook, which calls this server."""
        self.webhooks.append({"id": name, "url": self.hook_url, "event": event, "deviceId": "ignored"})

    async def say(self, event: str | None, data: str = "null") -> None:
        """Sends an event on every open channel."""
        name = "" if event is None else f"event: {event}\n"
        for stream in list(self.streams):
            await stream.write(f"{name}data: {data}\n\n".encode())

    def cut(self) -> None:
        """Breaks every open channel."""
        for transport in self.streams.values():
            transport.abort()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Every request comes here."""
        path = request.path.removeprefix("/mobile/v1").replace("//", "/")
        seen = Request(
            request.method,
            path,
            request.raw_path,
            dict(request.query),
            dict(request.headers),
            await request.read(),
            request.transport and request.transport.get_extra_info("peername"),
        )
        key = f"{seen.method} {path}"
        if (script := self.scripts.get(key)) and (scripted := await script(seen)) is not None:
            self._note(seen)
            return scripted
        self._note(seen)
        if key in self.raw:
            return web.Response(body=self.raw[key], content_type="application/json")
        if key == "POST /device":
            return self._register(seen)
        if path == "/hook":
            return web.Response()
        token = seen.headers.get("Authorization", "").removeprefix("Bearer ")
        if key == "GET /device":
            return web.json_response({"externalIp": "203.0.113.1"})
        if token not in self.tokens:
            return web.json_response({"message": "unauthorized"}, status=401)
        match key:
            case "PATCH /device":
                return web.Response(status=204 if seen.json["id"] == self.tokens[token] else 403)
            case "GET /message":
                return web.json_response(self.listed[:100])
            case "PATCH /message":
                (report,) = seen.json
                self.reports[report["id"]].append(report)
                return web.Response(status=204)
            case "GET /webhooks":
                return web.json_response(self.webhooks)
            case "GET /settings":
                return web.json_response(self.settings)
            case "GET /events":
                return await self._stream(request)
        return web.Response(status=404)

    def _note(self, seen: Request) -> None:
        (self.calls if seen.path == "/hook" else self.requests).append(seen)

    def _register(self, seen: Request) -> web.Response:
        if seen.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "unauthorized"}, status=401)
        token, device = secrets.token_hex(8), secrets.token_hex(10) + "x"
        self.tokens[token] = device
        return web.json_response({"id": device, "token": token, "login": "ABCDEF"}, status=201)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await stream.prepare(request)
        await stream.write(b":keepalive\n\n")
        assert request.transport is not None
        self.streams[stream] = request.transport
        try:
            await asyncio.Event().wait()
        finally:
            del self.streams[stream]
        return stream


@asynccontextmanager
async def fake_smsgate_server() -> AsyncIterator[FakeSmsgateServer]:
    """A server on a free port of this machine."""
    server = FakeSmsgateServer()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    # A handler ends with its connection, as an event channel's must.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
