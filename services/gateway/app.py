"""Puts the gateway together: the only place where its parts are made."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from services.gateway import metrics
from services.gateway.addresses import Proxies, networks
from services.gateway.admission import Admission
from services.gateway.callers import Callers
from services.gateway.cors import Cors, listed
from services.gateway.dashboard.door.cookies import Cookies
from services.gateway.dashboard.door.sessions import Sessions
from services.gateway.dashboard.door.signin import Door as BrowserDoor
from services.gateway.dashboard.door.visitors import Visitors
from services.gateway.dashboard.frame.assets import Assets
from services.gateway.dashboard.frame.languages import load
from services.gateway.dashboard.frame.live import Live
from services.gateway.dashboard.frame.pages import PREFIX, Pages
from services.gateway.dashboard.handlers import HANDLERS
from services.gateway.dashboard.messages.export import Exports
from services.gateway.dashboard.phones.enrol import Reach
from services.gateway.dashboard.routes import Dashboard, Desk
from services.gateway.dashboard.store.messages import Messages
from services.gateway.dashboard.store.overview import Overview
from services.gateway.dashboard.store.threads import Threads
from services.gateway.devices import Devices
from services.gateway.dialects.smsmobile.actions import Cancel, Resend
from services.gateway.dialects.smsmobile.deletion import DeleteSms
from services.gateway.dialects.smsmobile.endpoint import Endpoint
from services.gateway.dialects.smsmobile.lists import ReceivedTexts, SentLog
from services.gateway.dialects.smsmobile.phonelist import PhoneList
from services.gateway.dialects.smsmobile.sendsms import SendSms
from services.gateway.dialects.smsmobile.stubs import no_calls, no_synchronisation
from services.gateway.epochs import Epochs
from services.gateway.front import Front
from services.gateway.guesses import Guesses
from services.gateway.measured import Measured, Meter
from services.gateway.oauth import metadata
from services.gateway.oauth.endpoint import OAuthEndpoint
from services.gateway.oauth.grants import Grants
from services.gateway.oauth.limits import Limits
from services.gateway.once import Once
from services.gateway.openfiles import raise_limit
from services.gateway.phones.admittance import Admittance
from services.gateway.phones.connections import RENEW_S, Connections
from services.gateway.phones.session import Means
from services.gateway.phones.smsgate import receiver
from services.gateway.phones.smsgate import routes as smsgate
from services.gateway.phones.smsgate.door import Door
from services.gateway.phones.smsgate.signs import TELL_S, Signs
from services.gateway.phones.smsgate.streams import Streams
from services.gateway.phones.socket import PhoneSocket
from services.gateway.protocol import HttpProtocol
from services.gateway.quotas import Quotas
from services.gateway.rates import Rates
from services.gateway.readiness import ClockWatch
from services.gateway.rest import deliveries, events, webhooks
from services.gateway.rest.account import account
from services.gateway.rest.routes import v1
from services.gateway.routes import Serves, make_app
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.tokens import Tokens
from services.gateway.tracking import Tracker
from services.gateway.trust import Trust
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
from shared.runtime.service import Service
from shared.runtime.serving import serving
from shared.security.secrets import derive_key

NAME: Final = "gateway"
POOL_SIZE: Final = 8
PAGES_POOL_SIZE: Final = 4
"""People's searches have connections of their own, so that no program waits for one of them."""

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
    # Ours is services/gateway/addresses.py.
    "proxy_headers": False,
    "timeout_keep_alive": KEEP_ALIVE_S,
    "backlog": 2048,
}
"""What uvicorn is told besides the address."""


@contextlib.asynccontextmanager
async def open_service(settings: GatewaySettings) -> AsyncIterator[Service]:
    """A gateway that answers HTTP for the context's time. It needs NATS; Postgres may be away."""
    # uvicorn logs each socket's path with its query at "info".
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    raise_limit()
    service, epochs = Service(), Epochs(time.monotonic)
    trusted = networks(settings.trusted_proxies)

    async def closed() -> None:
        service.tasks.failed.set()

    async def reconnected() -> None:
        epochs.reconnected()

    async with (
        connected(settings, NAME, closed, reconnected) as client,
        connected_pool(settings, NAME, size=POOL_SIZE, patience_s=None) as pool,
        connected_pool(settings, "dashboard", size=PAGES_POOL_SIZE, patience_s=None, plans_once=True) as pages_pool,
    ):
        rpc, store = RpcClient(client), Store(pool)
        devices = Devices(store, time.monotonic)
        keys = Verdicts("api_key", rpc, epochs, time.monotonic, settings.auth_stale_s)
        clients = Verdicts("client", rpc, epochs, time.monotonic, settings.auth_stale_s)
        trust = Trust(rpc, epochs, time.monotonic, system_clock, settings.auth_stale_s)
        ids = MessageIds(derive_key(settings.secret(), "message-ids"))
        connections = Connections(rpc)
        publishers = _publishers(client)
        commands, bulk, attempts, received = publishers.values()
        once = Once(FirstWins(client.jetstream(), registry.IDEMPOTENCY))

        async def oldest_command() -> float | None:
            return await oldest_stored_at(client, registry.COMMANDS)

        tracker = Tracker(store, ids, oldest_command, time.monotonic)
        rates = Rates(settings.redis_url)
        quotas = Quotas(rates, system_clock)
        admission = Admission(commands, bulk, ids, devices, once, quotas, system_clock, settings.default_ttl_s)
        guesses = Guesses(settings.guesses_per_minute, time.monotonic)
        callers = Callers(keys, Tokens(trust, clients, system_clock), rates, guesses)
        limits = Limits(rates, guesses, time.monotonic, settings.token_rate_per_client, settings.token_rate_per_address)
        endpoints = _endpoints(settings, callers, admission, store, tracker, rpc)
        phones = PhoneSocket(
            client,
            connections,
            Admittance(rpc, connections.gateway, devices.seen),
            Means(rpc, attempts, received, system_clock),
        )
        phone_tokens = Verdicts("device_token", rpc, epochs, time.monotonic, settings.auth_stale_s)
        signs, streams = Signs(rpc, system_clock), Streams()
        capabilities = receiver.Capabilities(settings.base_url, settings.secret(), settings.older_secrets())
        app_routes = smsgate.AppRoutes(
            Door(phone_tokens, guesses, rpc, connections.gateway),
            smsgate.Means(
                rpc,
                client,
                attempts,
                connections,
                streams,
                capabilities,
                signs,
                store,
                devices.seen,
                system_clock,
                time.monotonic,
            ),
        )
        inward = receiver.Receiver(capabilities, received, signs, devices, store, system_clock)
        apps: dict[str, Serves] = {**dict.fromkeys(smsgate.PREFIXES, app_routes), receiver.PREFIX: inward}
        users = Verdicts("user", rpc, epochs, time.monotonic, settings.auth_stale_s)
        sessions, live, cookies = Sessions(settings.redis_url, system_clock), Live(client), Cookies(settings.base_url)
        visitors, assets = Visitors(sessions, users, cookies), Assets(PREFIX)
        found = Messages(pages_pool)
        desk = Desk(
            rpc,
            Pages(load(), assets, settings.base_url),
            assets,
            live,
            visitors,
            BrowserDoor(rpc, sessions, visitors, cookies, guesses),
            admission,
            tracker,
            found,
            Overview(pages_pool),
            Threads(pages_pool, found),
            Exports(),
            Reach(settings.base_url, settings.ca_url),
        )
        dashboard = Dashboard(desk, HANDLERS)
        clock = ClockWatch(store, system_clock)
        service.health.add("commands", commands.state)
        service.health.add("clock", clock.state)
        metrics.CONNECTED.set_function(lambda: len(connections))
        metrics.AUTH_SILENCE.set_function(epochs.silence_s)
        await _listen(client, epochs)
        await trust.load()
        service.tasks.start("trust", trust.run())
        for subject, publisher in publishers.items():
            service.tasks.start(f"publish {subject}", publisher.run())
        service.tasks.start("rates", rates.run())
        service.tasks.every("probe", PROBE_S, commands.probe)
        service.tasks.every("clock", CLOCK_S, clock.compare)
        service.tasks.every("renew", RENEW_S, connections.renew)
        service.tasks.every("signs", TELL_S, signs.tell)
        tokens = _token_endpoints(settings.base_url, limits, Grants(rpc), trust)
        rest = v1(callers, rpc, [account, *webhooks.HANDLERS, *deliveries.HANDLERS, *events.HANDLERS])
        app: Any = make_app(endpoints, tokens, rest, phones, apps, dashboard, service.health, settings.base_url)
        app = Front(Measured(app, endpoints, apps), endpoints)
        if origins := listed(settings.cors_origins):
            app = Cors(app, origins)
        if trusted:
            app = Proxies(app, trusted)
        try:
            async with serving(app, settings.bind, settings.port, **SERVER_OPTIONS) as listener:
                try:
                    yield service
                finally:
                    service.health.leave()
                    await asyncio.sleep(settings.leave_s)
                    live.close()
                    await listener.close()
                    await asyncio.gather(streams.drain(settings.drain_s), connections.drain(settings.drain_s))
        finally:
            await keys.close()
            await clients.close()
            await phone_tokens.close()
            await users.close()
            await sessions.close_client()
            await devices.close()
            await service.tasks.close()
            await trust.close()
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
        path: Endpoint(callers, work, Meter(path), scope=scope, always_200=always_200)
        for path, (scope, work) in others.items()
    } | {
        path: Endpoint(callers, work, Meter(path), scope="sms:read", lists=True, always_200=always_200)
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


def _token_endpoints(base_url: str, limits: Limits, grants: Grants, trust: Trust) -> dict[str, Serves]:
    """The OAuth2 endpoints by path, without the trailing slash."""
    described = metadata.PublicDocument(base_url)
    return {
        metadata.TOKEN: OAuthEndpoint(limits, grants.issue),
        metadata.INTROSPECT: OAuthEndpoint(limits, grants.introspect),
        metadata.REVOKE: OAuthEndpoint(limits, grants.revoke),
        metadata.JWKS: metadata.PublicDocument(base_url, trust),
        **dict.fromkeys(metadata.well_known_paths(base_url), described),
    }


async def _listen(client: Client, epochs: Epochs) -> None:
    async def changed(message: Msg) -> None:
        epochs.changed(message.data)

    await client.subscribe(registry.AUTH_CHANGED, cb=changed)
