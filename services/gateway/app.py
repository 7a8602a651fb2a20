"""Puts the gateway together: the only place where its parts are made."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Response, asgi, get
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.gateway.admission import Admission
from services.gateway.cors import Cors, listed
from services.gateway.devices import Devices
from services.gateway.dialects.smsmobile import document as smsmobile
from services.gateway.dialects.smsmobile.actions import Cancel, Resend
from services.gateway.dialects.smsmobile.callers import Callers
from services.gateway.dialects.smsmobile.deletion import DeleteSms
from services.gateway.dialects.smsmobile.endpoint import Endpoint
from services.gateway.dialects.smsmobile.lists import ReceivedTexts, SentLog
from services.gateway.dialects.smsmobile.phonelist import PhoneList
from services.gateway.dialects.smsmobile.routes import framework_error, mounted
from services.gateway.dialects.smsmobile.sendsms import SendSms
from services.gateway.dialects.smsmobile.stubs import no_calls, no_synchronisation
from services.gateway.documents import Document, Page
from services.gateway.front import Front
from services.gateway.once import Once
from services.gateway.phones.admittance import Admittance
from services.gateway.phones.connections import RENEW_S, Connections
from services.gateway.phones.session import Means
from services.gateway.phones.socket import PhoneSocket
from services.gateway.protocol import HttpProtocol
from services.gateway.rates import Rates
from services.gateway.readiness import ClockWatch, Going
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.tracking import Tracker
from services.gateway.verdicts import Verdicts
from shared.bus.buckets import FirstWins
from shared.bus.connection import connected
from shared.bus.publisher import Publisher
from shared.bus.rpc import RpcClient
from shared.bus.streams import oldest_stored_at
from shared.contracts import registry
from shared.contracts.phone import MAX_FRAME_BYTES
from shared.db.pool import connected_pool
from shared.model.ids import MessageIds
from shared.runtime.clock import system_clock
from shared.runtime.operations import Health, serving
from shared.runtime.service import Service
from shared.security.secrets import derive_key

NAME: Final = "gateway"
VERSION: Final = "0.1.0"
POOL_SIZE: Final = 8
PROBE_S: Final = 1.0
CLOCK_S: Final = 10.0
KEEP_ALIVE_S: Final = 75
"""How long an idle HTTP connection is kept, longer than proxies keep theirs, in seconds."""

SERVER_OPTIONS: Final[dict[str, Any]] = {
    "http": HttpProtocol,
    "ws": "websockets-sansio",
    "ws_max_size": MAX_FRAME_BYTES,
    # The phone protocol has pings of its own, and a deflate window costs more memory than a phone.
    "ws_ping_interval": None,
    "ws_per_message_deflate": False,
    "timeout_keep_alive": KEEP_ALIVE_S,
    "backlog": 2048,
}
"""What uvicorn is told besides the address."""


class HealthAnswer(msgspec.Struct):
    """What a health route says: "ok" or "unavailable", and the same of each check."""

    status: str
    checks: dict[str, str]


def make_app(endpoints: dict[str, Endpoint], phones: PhoneSocket, health: Health) -> Litestar:
    """The public HTTP app: health, documents, the phone socket and the dialect's endpoints by path."""
    document = Document(path="/openapi.json", extra_paths=smsmobile.paths(), extra_schemas=smsmobile.schemas())
    handlers: Sequence[BaseRouteHandler] = [
        *_health(health),
        _document(document),
        asgi("/phone/v1/socket", copy_scope=False)(phones.serve),
        *(mounted(path, endpoint) for path, endpoint in endpoints.items()),
    ]
    return Litestar(
        route_handlers=handlers,
        exception_handlers={HTTPException: framework_error, 500: framework_error},
        openapi_config=OpenAPIConfig(
            title="SMSFleet",
            version=VERSION,
            description="A self-hosted SMS gateway that speaks SMSMobileAPI's wire dialect.",
            path="/docs",
            render_plugins=[Page(path="/", document=document), document],
        ),
        logging_config=None,
    )


@contextlib.asynccontextmanager
async def open_service(settings: GatewaySettings) -> AsyncIterator[Service]:
    """A gateway that answers HTTP for the context's time. It needs NATS; Postgres may be away."""
    # uvicorn logs each socket's path with its query at "info".
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    service = Service()
    verdicts: Verdicts | None = None

    async def closed() -> None:
        service.tasks.failed.set()

    async def reconnected() -> None:
        if verdicts is not None:
            verdicts.reconnected()

    async with (
        connected(settings, NAME, closed, reconnected) as client,
        connected_pool(settings, NAME, size=POOL_SIZE, patience_s=None) as pool,
    ):
        rpc, store = RpcClient(client), Store(pool)
        devices = Devices(store, time.monotonic)
        verdicts = Verdicts(rpc, time.monotonic, settings.auth_stale_s)
        ids = MessageIds(derive_key(settings.secret(), "message-ids"))
        connections = Connections(rpc)
        publishers = _publishers(client)
        commands, bulk, attempts, received = publishers.values()
        once = Once(FirstWins(client.jetstream(), registry.IDEMPOTENCY))
        admission = Admission(commands, bulk, ids, devices, once, system_clock, settings.default_ttl_s)

        async def oldest_command() -> float | None:
            return await oldest_stored_at(client, registry.COMMANDS)

        tracker = Tracker(store, ids, oldest_command, time.monotonic)
        rates = Rates(settings.redis_url)
        callers = Callers(verdicts, rates)
        endpoints = _endpoints(settings, callers, admission, store, tracker, rpc)
        phones = PhoneSocket(
            client,
            connections,
            Admittance(rpc, connections.gateway, devices.seen),
            Means(rpc, attempts, received, system_clock),
        )
        clock, going = ClockWatch(store, system_clock), Going()
        service.health.add("commands", commands.state)
        service.health.add("clock", clock.state)
        service.health.add("running", going.state)
        await _listen(client, verdicts)
        for subject, publisher in publishers.items():
            service.tasks.start(f"publish {subject}", publisher.run())
        service.tasks.start("rates", rates.run())
        service.tasks.every("probe", PROBE_S, commands.probe)
        service.tasks.every("clock", CLOCK_S, clock.compare)
        service.tasks.every("renew", RENEW_S, connections.renew)
        front = Front(make_app(endpoints, phones, service.health), endpoints)
        origins = listed(settings.cors_origins)
        app = Cors(front, origins) if origins else front
        try:
            async with serving(app, settings.bind, settings.port, **SERVER_OPTIONS, **_proxies(settings)):
                try:
                    yield service
                finally:
                    going.now = True
                    await connections.stop()
        finally:
            await verdicts.close()
            await devices.close()
            await service.tasks.close()
            await rates.close()


def _endpoints(
    settings: GatewaySettings, callers: Callers, admission: Admission, store: Store, tracker: Tracker, rpc: RpcClient
) -> dict[str, Endpoint]:
    """The dialect's endpoints by path, without the trailing slash."""
    delete = DeleteSms(tracker, rpc, all_without_selector=settings.compat_delete_all)
    lists = {
        "/log/sent/sms": SentLog(store, tracker, system_clock).work,
        "/getsms": ReceivedTexts(store, rpc).work,
    }
    others = {
        "/sendsms": ("sms:send", SendSms(admission).work),
        "/resend": ("sms:send", Resend(tracker, rpc, system_clock).work),
        "/cancel": ("sms:send", Cancel(tracker, rpc).work),
        "/deletesms": ("sms:delete", delete.work),
        "/gateway/mobile/list": ("devices:read", PhoneList(store).work),
        "/call/missed/list": ("sms:read", no_calls),
        "/call/incoming/list": ("sms:read", no_calls),
        "/call/outgoing/list": ("sms:read", no_calls),
        "/getwa/synchronisation": ("sms:read", no_synchronisation),
    }
    always_200 = settings.compat_http_200_errors
    return {
        path: Endpoint(callers, work, scope=scope, always_200=always_200) for path, (scope, work) in others.items()
    } | {
        path: Endpoint(callers, work, scope="sms:read", lists=True, always_200=always_200)
        for path, work in lists.items()
    }


def _publishers(client: Client) -> dict[str, Publisher]:
    """By subject: commands of few recipients and of many, outcomes of attempts, received texts."""
    jetstream = client.jetstream()
    return {
        subject: Publisher(jetstream, stream, subject)
        for subject, stream in (
            (registry.SUBMIT_SINGLE, registry.COMMANDS),
            (registry.SUBMIT_BULK, registry.COMMANDS),
            (registry.REPORT_ATTEMPT, registry.REPORTS),
            (registry.REPORT_RECEIVED, registry.REPORTS),
        )
    }


async def _listen(client: Client, verdicts: Verdicts) -> None:
    async def changed(message: Msg) -> None:
        verdicts.changed(message.data)

    await client.subscribe(registry.AUTH_CHANGED, cb=changed)


def _proxies(settings: GatewaySettings) -> dict[str, Any]:
    """X-Forwarded-* counts only from proxies that the settings name."""
    if not settings.trusted_proxies:
        return {"proxy_headers": False}
    return {"proxy_headers": True, "forwarded_allow_ips": settings.trusted_proxies}


def _health(health: Health) -> list[BaseRouteHandler]:
    def answer(path: str) -> Response[bytes]:
        status, body = health.answer(path) or (404, b"{}")
        return Response(body, status_code=status, media_type="application/json")

    @get("/health/live", summary="Whether the process runs", responses=_told(200), sync_to_thread=False)
    def live() -> Response[bytes]:
        return answer("/health/live")

    @get("/health/ready", summary="Whether requests can be served now", responses=_told(200, 503), sync_to_thread=False)
    def ready() -> Response[bytes]:
        return answer("/health/ready")

    return [live, ready]


def _told(*statuses: int) -> dict[int, ResponseSpec]:
    return {status: ResponseSpec(HealthAnswer, generate_examples=False) for status in statuses}


def _document(document: Document) -> BaseRouteHandler:
    @get("/openapi.json", include_in_schema=False, sync_to_thread=False)
    def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = document.render(request, request.app.openapi_schema.to_schema())
        return Response(body, media_type="application/json")

    return openapi
