"""The end of a key, client, token or account reaches every gateway within a second, under load, whatever it missed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import CreateAccount, CreateKey, RevokeKey, SetAccount
from shared.contracts.rpc.clients import CreateClient, RevokeClient
from tests.support.gateways import further_gateway
from tests.support.http import FORM, Connection, ask, connected, form
from tests.support.links import Link
from tests.support.scale import scaled
from tests.support.system import System
from tests.support.waiting import until

PER_S = 200
"""Requests a second, over all gateways."""

WARM_S = scaled(small=1, one=1, full=5)
LATEST_S = 3.0
AFTER_S = 1.0
REFUSED = (401, 403)
KINDS = ("key", "client", "token", "account")
CONTROL = "control"
"""A token that stays good."""

NEAR, CUT = ("first", "second"), "cut"


@dataclass
class Seen:
    """What one gateway answered to one credential: (monotonic time when it was asked, status) each."""

    answers: list[tuple[float, int]] = field(default_factory=list)

    def refused_at(self) -> float | None:
        """When the first refused request was sent."""
        return next((at for at, status in self.answers if status in REFUSED), None)

    def wrong_after(self, at: float) -> list[int]:
        """What was not refused although it was asked later."""
        return [status for asked_at, status in self.answers if asked_at > at and status not in REFUSED]


@dataclass
class World:
    """Gateways of one installation, and who may change its credentials."""

    system: System
    rpc: RpcClient
    gateways: dict[str, str]
    """Names and addresses."""
    link: Link
    """The way of the gateway `cut` to NATS."""


@pytest.fixture(scope="module")
async def world(system: System) -> AsyncIterator[World]:
    told = system.connections
    url = urlsplit(told["nats_url"])
    assert url.port is not None
    async with contextlib.AsyncExitStack() as stack:
        client = await system.nats()
        stack.push_async_callback(client.close)
        link = await stack.enter_async_context(Link.listening(url.port))
        away = url._replace(netloc=url.netloc.replace(str(url.port), str(link.port))).geturl()
        second, cut = await asyncio.gather(
            stack.enter_async_context(further_gateway(system)),
            stack.enter_async_context(further_gateway(system, SMSFLEET_NATS_URL=away)),
        )
        gateways = {"first": system.base_url, "second": second.base_url, CUT: cut.base_url}
        yield World(system, RpcClient(client), gateways, link)


@dataclass
class Victim:
    """A credential, and how it ends."""

    bearer: str
    end: Callable[[], Awaitable[object]]


async def victim(world: World, kind: str) -> Victim:
    """One of this kind, in an account of its own."""
    made = await world.rpc.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name=f"ends {kind} {time.time_ns()}"))
    if kind in ("key", "account"):
        key = await world.rpc.ask(registry.AUTH_KEY_CREATE, CreateKey(account=made.account, name=kind))
        revoke_key = RevokeKey(account=made.account, id=key.id)
        suspend = SetAccount(account=made.account, status="suspended")
        end = {
            "key": lambda: world.rpc.ask(registry.AUTH_KEY_REVOKE, revoke_key),
            "account": lambda: world.rpc.ask(registry.AUTH_ACCOUNT_SET, suspend),
        }
        return Victim(key.api_key, end[kind])
    client = await world.rpc.ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=made.account, name=kind))
    credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
    body = form(grant_type="client_credentials", **credentials)
    answer = await ask(world.system.base_url, "POST", "/oauth2/token", body=body, headers=FORM)
    token: str = answer.json()["access_token"]
    revoke_client = RevokeClient(account=made.account, client_id=client.client_id)
    if kind == "client":
        return Victim(token, lambda: world.rpc.ask(registry.AUTH_CLIENT_REVOKE, revoke_client))
    body = form(token=token, **credentials)
    return Victim(token, lambda: ask(world.system.base_url, "POST", "/oauth2/revoke", body=body, headers=FORM))


async def calling(base_url: str, bearer: str, seen: Seen, per_s: float) -> None:
    """Asks again and again until cancelled."""
    loop = asyncio.get_running_loop()
    async with connected(base_url) as connection:
        begun, count = loop.time(), 0
        while True:
            seen.answers.append(await one(connection, bearer))
            count += 1
            # The pace of the load.
            await asyncio.sleep(max(0.0, begun + count / per_s - loop.time()))


async def one(connection: Connection, bearer: str) -> tuple[float, int]:
    at = time.monotonic()
    answer = await connection.request("GET", "/v1/account", headers={"Authorization": f"Bearer {bearer}"})
    return at, answer.status


async def test_an_end_reaches_every_gateway(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    victims = {kind: await victim(world, kind) for kind in KINDS}
    everybody = victims | {CONTROL: await victim(world, "token")}
    seen = {(kind, name): Seen() for kind in everybody for name in world.gateways}
    callers = [
        asyncio.create_task(calling(world.gateways[name], everybody[kind].bearer, found, PER_S / len(seen)))
        for (kind, name), found in seen.items()
    ]
    took: dict[tuple[str, str], float] = {}
    try:
        await asyncio.sleep(WARM_S)  # The load before.
        before = [status for found in seen.values() for _, status in found.answers]
        await world.link.cut()
        for kind, each in victims.items():
            await each.end()
            ended_at = time.monotonic()
            for name in NEAR:
                await until(refusing(seen[kind, name]), f"the {name} gateway refuses the {kind}", LATEST_S)
                took[kind, name] = (seen[kind, name].refused_at() or 0) - ended_at
        world.link.mend()
        mended_at = time.monotonic()
        for kind in victims:
            await until(refusing(seen[kind, CUT]), f"the gateway that was cut off refuses the {kind}", LATEST_S)
            took[kind, CUT] = (seen[kind, CUT].refused_at() or 0) - mended_at
        await asyncio.sleep(AFTER_S)  # The load after.
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    async with further_gateway(world.system) as late:
        first = {
            kind: (await ask(late.base_url, "GET", "/v1/account", headers=shown(each))).status
            for kind, each in everybody.items()
        }
    with capsys.disabled():
        for name in world.gateways:
            times = ", ".join(f"{kind} {took[kind, name] * 1000:.0f} ms" for kind in victims)
            print(f"\n  an end reaches the {name} gateway after: {times}", end="")
        print(f"; {sum(len(found.answers) for found in seen.values())} requests")
    assert set(before) == {200}
    assert len(before) > PER_S * WARM_S / 2
    for kind, name in took:
        found = seen[kind, name]
        assert found.wrong_after(found.refused_at() or 0) == [], (kind, name)
    for name in NEAR:
        assert {status for _, status in seen[CONTROL, name].answers} == {200}, name
    assert {status for _, status in seen[CONTROL, CUT].answers} <= {200, 503}
    assert first == {"key": 401, "client": 401, "token": 401, "account": 403, CONTROL: 200}
    assert max(took.values()) < LATEST_S


def refusing(seen: Seen) -> Callable[[], Awaitable[bool]]:
    async def has_refused() -> bool:
        return seen.refused_at() is not None

    return has_refused


def shown(each: Victim) -> dict[str, str]:
    return {"Authorization": f"Bearer {each.bearer}"}
