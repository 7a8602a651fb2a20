"""Under load, whatever of docker compose's system is killed, rolled or scaled: nothing is lost and nothing doubled."""

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.containers.project import SERVICES, Project
from tests.support.steady import Steady
from tests.support.waiting import until

PER_S = 10.0
BEFORE = 10
AFTER = 30
TEXTS = 5

pytestmark = pytest.mark.timeout(900)


@dataclass
class Loaded:
    """A system that is being sent through, and what its callers were told."""

    project: Project
    answers: Path
    load: Steady
    received: list[str]

    async def goes_on(self, sends: int) -> None:
        """Waits until so many more sends were accepted."""
        goal = self.load.accepted + sends

        async def accepted() -> bool:
            return self.load.accepted >= goal

        await until(accepted, f"{sends} more sends are accepted", 90)

    async def receives(self) -> None:
        """Some texts arrive at the demo phone."""
        texts = [f"received {secrets.token_hex(6)}" for _ in range(TEXTS)]
        await self.project.arrive(*texts)
        self.received += texts

    @property
    def told(self) -> list[dict[str, Any]]:
        """What each send was answered."""
        return [json.loads(line) for line in self.answers.read_text().splitlines()]

    @property
    def statuses(self) -> "Counter[int | None]":
        """How often each status was answered; None: no answer."""
        return Counter(each["status"] for each in self.told)


@contextlib.asynccontextmanager
async def loaded(project: Project, folder: Path) -> AsyncIterator[Loaded]:
    """Steady sends for the context's time; at its end the accepted were sent once, of the received was told."""
    answers, over = folder / "answers.jsonl", asyncio.Event()
    load = Steady(project.base_url, project.key, secrets.token_hex(6), answers, project.tls)
    sending = asyncio.create_task(load.run(BEFORE, PER_S, lambda: not over.is_set()))
    told = Loaded(project, answers, load, [])
    try:
        await told.goes_on(BEFORE)
        yield told
    finally:
        over.set()
        await sending
    await project.sent_once(told.told)

    async def all_told() -> bool:
        return set(told.received) <= set(await project.at_the_sink())

    await until(all_told, "all received texts are at the demo's receiver", 90)


@pytest.mark.parametrize(
    ("server", "refusals"),
    [("postgres", set[int]()), ("nats", {503}), ("valkey", set[int]())],
)
async def test_a_server_is_killed(project: Project, tmp_path: Path, server: str, refusals: set[int]) -> None:
    async with loaded(project, tmp_path) as system:
        await project.compose("kill", server)
        await system.receives()
        if not refusals:
            # They are not needed to accept.
            await system.goes_on(AFTER)
        await project.compose("start", server)
        await system.goes_on(AFTER)
    assert set(system.statuses) <= {200, *refusals}, system.statuses
    await project.answers_again()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_killed(project: Project, tmp_path: Path, service: str) -> None:
    """One replica. What it had begun may break at its callers; who has another replica loses no further request."""
    (victim, *_) = await project.containers(service)
    async with loaded(project, tmp_path) as system:
        await project.run("docker", "kill", victim)
        await system.receives()
        await system.goes_on(AFTER)
        await project.run("docker", "start", victim)
        await system.goes_on(AFTER)
    refused = system.statuses - Counter({200: system.statuses[200]})
    if service == "gateway":
        # Requests that were in it as it died: at this pace a few at most.
        assert set(refused) <= {502}, system.statuses
        assert refused.total() <= 5, system.statuses
    else:
        assert not refused, system.statuses


async def test_the_gateway_is_scaled_to_three_and_back(project: Project, tmp_path: Path) -> None:
    scale = ("up", "--detach", "--no-recreate", "--wait", "--scale")
    async with loaded(project, tmp_path) as system:
        await project.compose(*scale, "gateway=3", "gateway")
        assert len(await project.containers("gateway")) == 3
        await system.goes_on(AFTER)
        await project.compose(*scale, "gateway=2", "gateway")
        await system.goes_on(AFTER)
    assert set(system.statuses) == {200}, system.statuses
    assert len(await project.containers("gateway")) == 2


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_rolled_without_a_failed_request(project: Project, tmp_path: Path, service: str) -> None:
    before = await project.containers(service)
    async with loaded(project, tmp_path) as system:
        await system.receives()
        await project.run("./deploy/roll", service)
        await system.receives()
        await system.goes_on(AFTER)
    assert set(system.statuses) == {200}, system.statuses
    after = await project.containers(service)
    assert len(after) == len(before)
    assert not set(after) & set(before)
    await project.up()
    assert await project.containers(service) == after, "compose finds them up to date"


async def test_down_keeps_what_was_told_and_up_goes_on(project: Project) -> None:
    key = (await project.set_up())["api_key"]
    guid = await project.send("before down")
    await project.compose("--profile", "demo", "down", "--timeout", "30")
    assert await project.containers("gateway") == []
    await project.up(profile="demo")
    assert (await project.set_up())["api_key"] == key

    async def sent() -> bool:
        return [line["message_id"] for line in await project.radio()].count(guid) == 1

    await until(sent, "the text is sent once", 60)
    (row,) = (await project.get("/log/sent/sms/", guid_message=guid)).json()["result"]["sms"]
    assert row["message"] == "before down"
