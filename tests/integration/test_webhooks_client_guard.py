"""No address, no notation and no name server leads the client where it may not go."""

import asyncio
import socket
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from services.webhooks.client import Client, Deadlines, opened_client
from services.webhooks.targets import Guard
from services.webhooks.wire import Connector, TlsContext
from tests.support.hostile import HostileReceiver
from tests.support.names import name_server
from tests.unit.test_webhooks_targets import FORBIDDEN, NOTATIONS

LOOPBACK = Guard([ip_network("127.0.0.0/8")])
STRICT = Guard([])
QUICK = Deadlines(total_s=2.0, connect_s=1.0, lookup_s=0.5)


class Watched(Guard):
    """A guard that counts the sockets it has given."""

    sockets = 0

    def socket(self, info: tuple[object, object, int, str, tuple[object, ...]]) -> socket.socket:
        made = super().socket(info)
        self.sockets += 1
        return made


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("host", [*(literal(address) for address in FORBIDDEN), *NOTATIONS])
async def test_no_address_in_any_notation_is_dialled(host: str) -> None:
    guard = Watched([])
    async with name_server() as names, opened_client(guard, QUICK, nameservers=[names.address]) as client:
        outcome = await client.post(f"http://{host}:8080/", {}, b"{}")
    # What looks like a name to the resolver is one, and is not known.
    assert outcome.error in ("blocked", "dns")
    assert (outcome.status, outcome.remote_address, guard.sockets) == (None, None, 0)


async def test_an_allowed_network_may_be_called() -> None:
    async with HostileReceiver() as receiver, opened_client(LOOPBACK, QUICK) as client:
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "localhost"):
            assert (await client.post(f"http://{host}:{receiver.port}/", {}, b"{}")).error is None
        assert (await client.post("http://10.0.0.1:8080/", {}, b"{}")).error == "blocked"


async def test_a_name_that_leads_inside_is_blocked_by_its_address() -> None:
    async with (
        name_server(inside_example=[["127.0.0.1", "::1", "169.254.169.254"]]) as names,
        HostileReceiver() as receiver,
        opened_client(STRICT, QUICK, nameservers=[names.address]) as client,
    ):
        outcome = await client.post(f"http://inside.example:{receiver.port}/", {}, b"{}")
        assert (outcome.error, outcome.remote_address) == ("blocked", None)
        assert outcome.detail == "The address is in a network that may not be called."
        assert receiver.connections == 0


async def test_of_several_addresses_only_those_that_may_be_called_are_dialled() -> None:
    async with (
        name_server(both_example=[["10.0.0.1", "127.0.0.1", "fe80::1"]]) as names,
        HostileReceiver() as receiver,
        opened_client(LOOPBACK, QUICK, nameservers=[names.address]) as client,
    ):
        outcome = await client.post(f"http://both.example:{receiver.port}/", {}, b"{}")
    assert (outcome.status, outcome.remote_address) == (200, "127.0.0.1")
    assert receiver.requests[0].headers["host"] == f"both.example:{receiver.port}"


async def test_a_name_that_leads_inside_on_second_thought_is_blocked() -> None:
    """Rebinding: what was checked the first time says nothing about what is dialled the second time."""
    async with (
        name_server(rebound_example=[["127.0.0.1"], ["127.0.0.2"]]) as names,
        HostileReceiver() as receiver,
        opened_client(Guard([ip_network("127.0.0.1/32")]), QUICK, nameservers=[names.address]) as client,
    ):
        url = f"http://rebound.example:{receiver.port}/"
        assert (await client.post(url, {"Connection": "close"}, b"{}")).error is None
        await receiver.stop()
        await receiver.start()
        assert (await client.post(url, {}, b"{}")).error == "blocked"
    assert names.asked["rebound.example"] == 2


class Liar(AbstractResolver):
    """Leads every name inside, without asking the guard."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=of, proto=0, flags=socket.AI_NUMERICHOST)
            for of, address in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
        ]

    async def close(self) -> None:
        pass


async def test_what_is_dialled_is_checked_whatever_the_resolver_said() -> None:
    """The resolver's own filter spares vain dials; the check of each socket is the guard."""
    connector = Connector(STRICT, Liar(), TlsContext(), connections=4)
    async with HostileReceiver() as receiver, aiohttp.ClientSession(connector=connector) as session:
        outcome = await Client(session, QUICK).post(f"http://inside.example:{receiver.port}/", {}, b"{}")
    assert (outcome.error, outcome.remote_address, receiver.connections) == ("blocked", None, 0)


async def test_a_name_that_does_not_exist_is_told() -> None:
    async with name_server() as names, opened_client(STRICT, QUICK, nameservers=[names.address]) as client:
        outcome = await client.post("http://nowhere.example/", {}, b"{}")
    assert (outcome.error, outcome.detail) == ("dns", "Its name cannot be looked up. The name is not known.")
    assert outcome.dns_ms is not None


async def test_a_silent_name_server_costs_its_deadline_and_no_other_name() -> None:
    async with (
        name_server(silent_example=[], quick_example=[["127.0.0.1"]]) as names,
        HostileReceiver() as receiver,
        opened_client(LOOPBACK, QUICK, nameservers=[names.address]) as client,
    ):
        silent = [asyncio.create_task(client.post("http://silent.example/", {}, b"{}")) for _ in range(20)]
        quick = await client.post(f"http://quick.example:{receiver.port}/", {}, b"{}")
        assert (quick.error, any(task.done() for task in silent)) == (None, False)
        outcomes = await asyncio.gather(*silent)
    assert {outcome.error for outcome in outcomes} == {"dns"}
    assert {str(outcome.detail) for outcome in outcomes} == {
        "Its name cannot be looked up. The name server did not answer in time."
    }
    assert max(outcome.duration_ms for outcome in outcomes) < 2000
