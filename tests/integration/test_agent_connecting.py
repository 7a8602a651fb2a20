"""How the agent enrols, stays connected and stops, with gateways that refuse it, fall silent or talk nonsense."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.settings import Limits
from shared.contracts import phone
from tests.support.fake_gateway import KEY, FakeGateway, fake_gateway, new_job, until
from tests.support.socket_phones import PATIENT, Start, running_phone, starting


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as running:
        yield running


@pytest.fixture
async def start(gateway: FakeGateway, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a phone that is stopped after the test."""
    async with starting(gateway, tmp_path / "phone") as begin:
        yield begin


async def test_it_enrols_once_and_uses_the_token_from_then_on(gateway: FakeGateway, tmp_path: Path) -> None:
    async with running_phone(gateway, tmp_path / "phone") as agent:
        await until(agent.home.connected.exists)
        gateway.cut()
        await until(lambda: len(gateway.hellos) == 2)
    async with running_phone(gateway, tmp_path / "phone", key=None):
        await until(lambda: len(gateway.hellos) == 3)
    first, *others = gateway.hellos
    assert (first.enrolment_key, first.token) == (KEY, None)
    assert {hello.token for hello in others} == set(gateway.tokens)
    assert all(hello.enrolment_key is None for hello in others)
    assert len({hello.journal for hello in gateway.hellos}) == 1
    assert [sim.slot for sim in first.sims] == [1, 2]
    assert not agent.home.connected.exists()


async def test_a_refused_token_falls_back_to_the_key(gateway: FakeGateway, start: Start) -> None:
    await start()
    gateway.tokens.clear()
    gateway.cut()
    await until(lambda: len(gateway.hellos) == 3 and gateway.connections)
    assert gateway.hellos[1].token is not None
    assert gateway.hellos[2].enrolment_key == KEY


async def test_it_stops_where_it_is_not_wanted(gateway: FakeGateway, tmp_path: Path) -> None:
    async with running_phone(gateway, tmp_path / "phone", key="wrong") as agent:
        assert "unauthorized" in (await asyncio.wait_for(agent.ended, 10) or "")
    async with running_phone(gateway, tmp_path / "phone", key=None) as agent:
        assert "enrolment key" in (await asyncio.wait_for(agent.ended, 10) or "")
    assert len(gateway.hellos) == 1


async def test_it_comes_back_when_told_to(gateway: FakeGateway, start: Start) -> None:
    gateway.byes = [phone.Bye(code="unavailable", message="later", retry_after_s=0.05)] * 3
    await start()
    assert len(gateway.hellos) == 4


async def test_a_silent_gateway_is_left(gateway: FakeGateway, start: Start) -> None:
    gateway.ping_s = 0.05
    gateway.silent.add(phone.Ping)
    await start(limits=Limits(backoff_base_s=0.01, backoff_cap_s=0.01))
    await until(lambda: len(gateway.hellos) == 2)
    assert gateway.count(phone.Ping) >= 1


async def test_a_gateway_that_never_welcomes_is_left(gateway: FakeGateway, tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    gateway.port = server.sockets[0].getsockname()[1]
    limits = Limits(connect_s=0.1, backoff_base_s=0.01, backoff_cap_s=0.01)
    async with server, running_phone(gateway, tmp_path / "phone", limits=limits):
        await until(lambda: len(heard) >= 2)


async def test_frames_of_later_versions_are_ignored_and_nonsense_is_not(gateway: FakeGateway, start: Start) -> None:
    await start()
    (connection,) = gateway.connections
    await connection.send('{"type": "horoscope", "sign": "leo"}')
    await gateway.send(phone.Ping(n=9))
    await until(lambda: gateway.count(phone.Pong) == 1)
    assert len(gateway.hellos) == 1
    await connection.send('{"type": "jobs", "jobs": 5}')
    await until(lambda: len(gateway.hellos) == 2)


async def test_stopping_finishes_the_send_and_flushes_its_reports(gateway: FakeGateway, start: Start) -> None:
    jobs = [new_job(1) for _ in range(4)]
    agent = await start(delay_ms=150, delivery_ms=50, limits=PATIENT)
    await gateway.offer(*jobs)
    await until(lambda: agent.sent() and len(gateway.attempts("taken")) == 2)
    agent.stop.set()
    assert await asyncio.wait_for(agent.ended, 10) is None
    assert len(agent.sent()) == 1
    assert gateway.states(agent.sent()[0]) == ["sent", "delivered"]


async def test_stopping_without_a_gateway_does_not_wait(gateway: FakeGateway, start: Start) -> None:
    gateway.silent.add(phone.Report)
    job = new_job()
    agent = await start(limits=PATIENT)
    await gateway.offer(job)
    await until(lambda: gateway.count(phone.Report) >= 1)
    await gateway.stop()
    gateway.cut()
    await until(lambda: not agent.home.connected.exists())
    agent.stop.set()
    await asyncio.wait_for(agent.ended, 2)
