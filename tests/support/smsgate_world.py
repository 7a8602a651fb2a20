"""Auth, dispatcher and gateway in the test's process, and phones of the app's kind that are their users."""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import nats
import pytest
from nats.aio.client import Client

from agent.smsgate.phone import Phone
from deploy.local.ports import free_port
from services.dispatcher import app as dispatcher_app
from services.dispatcher.settings import DispatcherSettings
from services.gateway import app as gateway_app
from services.gateway.settings import GatewaySettings
from shared.bus.provision import provision
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.registry import STREAMS
from shared.contracts.rpc.auth import AccountCreated
from shared.contracts.rpc.clients import CreateEnrolmentKey
from shared.contracts.rpc.messages import ListAttention, MessageStory, ShowMessage
from shared.contracts.rpc.phones import Device, Devices, ListDevices, SetBudget
from shared.db.pool import Pool, connected_pool
from shared.errors import NotFound
from shared.runtime.settings import ServiceSettings
from tests.conftest import SECRET, TEMPLATE
from tests.support import http
from tests.support.auths import new_account, running_auth
from tests.support.servers import Servers
from tests.support.smsgate_calls import Caller
from tests.support.smsgate_phones import Handset
from tests.support.waiting import until


class World:
    """One installation with an account."""

    def __init__(self, settings: GatewaySettings, client: Client, pool: Pool) -> None:
        self.settings = settings
        self.url = settings.base_url
        self.client = client
        self.ask = RpcClient(client)
        self.pool = pool
        self.account: AccountCreated

    async def begin(self) -> None:
        """What follows happens in an account of its own."""
        self.account = await new_account(self.ask, f"account {secrets.token_hex(4)}")

    async def key(self, **more: Any) -> str:
        """An enrolment key: of one phone, unless told otherwise."""
        made = await self.ask.ask(
            registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=self.account.account, **more)
        )
        return made.enrolment_key

    async def handset(self, *, prefix: str = "/mobile/v1", **more: Any) -> Handset:
        """A phone whose owner typed this server's address and a key."""
        key = more.pop("private_token", None) or await self.key()
        return Handset(self.url + prefix, private_token=key, **more)

    @contextlib.asynccontextmanager
    async def connected(self, phone: Handset, *, unlimited: bool = True) -> AsyncIterator[Phone]:
        """The phone's app, registered and listening; its SIMs without a budget."""
        openings = phone.channel.count(True)
        async with phone.running() as app:

            async def listening() -> bool:
                return phone.channel.count(True) > openings

            await until(listening, "the phone listens")
            if unlimited:
                await self.budget(device_of(phone), per_minute=0, per_hour=0, per_day=0)
            yield app

    async def caller(self, *, limited: bool = False) -> Caller:
        """A registered phone that does nothing by itself, without budgets unless told otherwise."""
        phone = await Caller(self.url, await self.key()).register()
        if not limited:
            await self.budget(phone.device, per_minute=0, per_hour=0, per_day=0)
        return phone

    async def budget(
        self, device: str, *, per_minute: int | None = None, per_hour: int | None = None, per_day: int | None = None
    ) -> None:
        """Says what a phone's SIMs may send."""
        wish = SetBudget(
            account=self.account.account, device=device, per_minute=per_minute, per_hour=per_hour, per_day=per_day
        )
        await self.ask.ask(registry.DISPATCHER_BUDGET_SET, wish)

    async def pause(self, device: str, shortest_ms: int, longest_ms: int, slot: int | None = None) -> None:
        """Says how long a phone shall rest between two texts, as `smsfleet phone budget --delay` does."""
        wish = SetBudget(account=self.account.account, device=device, slot=slot, delay_ms=(shortest_ms, longest_ms))
        await self.ask.ask(registry.DISPATCHER_BUDGET_SET, wish)

    async def send(self, text: str, to: str = "+15551230000", **more: object) -> str:
        """Sends a text as a client does, and returns its guid."""
        body = http.form(apikey=self.account.api_key, recipients=to, message=text, **more)
        answer = await http.ask(self.url, "POST", "/sendsms/", body=body, headers=http.FORM)
        assert answer.status == 200, answer
        return str(answer.json()["result"]["id"])

    async def story(self, guid: str) -> MessageStory:
        """All that is known of a message."""
        return await self.ask.ask(
            registry.DISPATCHER_MESSAGE_SHOW, ShowMessage(account=self.account.account, message=bytes.fromhex(guid))
        )

    async def state(self, guid: str) -> str:
        """Where a message stands; nowhere while it is not stored."""
        try:
            return (await self.story(guid)).state
        except NotFound:
            return ""

    async def ready(self, *guids: str) -> None:
        """Waits until a phone that asks now would be given these."""
        for guid in guids:
            await self.becomes(guid, "queued")

    async def pass_time(self, seconds: int) -> None:
        """As if all that phones hold had been taken earlier."""
        await self.pool.execute("update work set taken_at = taken_at - make_interval(secs => $1)", seconds)

    async def becomes(self, guid: str, state: str, within_s: float = 20.0) -> None:
        """Waits until a message is in this state."""

        async def so() -> bool:
            return await self.state(guid) == state

        try:
            await until(so, f"{guid} is {state}", within_s)
        except AssertionError as problem:
            problem.add_note(str(await self.story(guid)))
            raise

    async def devices(self) -> Devices:
        """What `smsfleet phone list` shows."""
        return await self.ask.ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(self.account.account))

    async def flagged(self, device: str, kind: str) -> bool:
        """Whether this phone needs a person's eye."""
        flags = (await self.ask.ask(registry.DISPATCHER_ATTENTION, ListAttention())).flags
        return any(flag.device == device and flag.kind == kind for flag in flags)

    async def device(self, phone: Handset) -> Device:
        """The same of one phone."""
        return next(each for each in (await self.devices()).devices if each.id == device_of(phone))


def device_of(phone: Handset) -> str:
    """The id that the server gave it."""
    return phone.memory.facts["device"]


@contextlib.asynccontextmanager
async def ground(servers: Servers) -> AsyncIterator[tuple[ServiceSettings, Client]]:
    """What an installation stands on, a database of its own and empty streams: its settings, a client for questions."""
    name = f"world_{os.urandom(6).hex()}"
    url = urlunsplit(urlsplit(servers.database_url)._replace(path=f"/{name}"))
    await _execute(servers.database_url, f"create database {name} template {TEMPLATE}")
    settings = ServiceSettings(
        nats_url=servers.nats_url,
        nats_nkey_file=servers.nats_nkey_file,
        database_url=url,
        redis_url=servers.redis_url,
        secret_key=SECRET,
    )
    client = await nats.connect(servers.nats_url, nkeys_seed=servers.nats_nkey_file, connect_timeout=5)
    await provision(client)
    for stream in STREAMS:
        await client.jetstream().purge_stream(stream.name)
    try:
        yield settings, client
    finally:
        await client.close()
        await _execute(servers.database_url, f"drop database {name} with (force)")


def gateway_settings(settings: ServiceSettings, **changes: Any) -> GatewaySettings:
    """Those of a gateway on a free port that lets anybody guess as often as they like."""
    told = msgspec.structs.asdict(settings)
    return GatewaySettings(**(told | {"port": free_port(), "guesses_per_minute": 0} | changes))


@contextlib.asynccontextmanager
async def world(servers: Servers, **changes: Any) -> AsyncIterator[World]:
    """A running installation with a database of its own; `changes` are settings of the gateway."""
    async with ground(servers) as (settings, client):
        gateway = gateway_settings(settings, **changes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gateway_app, "TELL_S", 0.2)
            async with (
                connected_pool(settings, "test") as pool,
                running_auth(settings),
                dispatcher_app.open_service(DispatcherSettings(**msgspec.structs.asdict(settings))),
                gateway_app.open_service(gateway),
            ):
                yield World(gateway, client, pool)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
