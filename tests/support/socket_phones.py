"""Phones of the socket protocol against a small gateway: inside this process, or as a process of their own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agent.app import run_phone
from agent.home import PhoneHome
from agent.journal import Journal
from agent.settings import Limits, Settings
from deploy.local.paths import PROJECT
from tests.support.fake_gateway import KEY, FakeGateway, until

LIMITS = Limits(
    connect_s=2,
    send_s=2,
    take_s=0.3,
    ready_s=0.5,
    ack_s=0.5,
    flush_s=2,
    lasted_s=0,
    backoff_base_s=0.01,
    backoff_cap_s=0.05,
)
"""Gives up on an answer soon."""

PATIENT = Limits(backoff_base_s=0.01, backoff_cap_s=0.05, lasted_s=0)
"""Waits for answers as long as a real phone."""


@dataclass
class RunningPhone:
    """An agent inside this process."""

    home: PhoneHome
    stop: asyncio.Event
    ended: asyncio.Task[str | None]
    abandoned: bool = False
    """Whether its radio is not to be waited for at the end."""

    def sent(self) -> list[str]:
        """The attempts that its radio performed, in order."""
        return radio_lines(self.home.folder)


def radio_lines(home: Path) -> list[str]:
    """The attempts that the radio of the phone in this folder performed, in order."""
    try:
        lines = (home / "radio.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line)["attempt_id"] for line in lines]


@asynccontextmanager
async def running_phone(
    gateway: FakeGateway,
    folder: Path,
    *,
    key: str | None = KEY,
    limits: Limits = LIMITS,
    delay_ms: int = 2,
    delivery_ms: int = 5,
) -> AsyncIterator[RunningPhone]:
    """A phone inside this process, stopped at the end."""
    home = PhoneHome(folder)
    home.prepare()
    settings = Settings(
        url=gateway.url,
        enrolment_key=key,
        home=folder,
        name="test",
        delay_ms=delay_ms,
        delivery_ms=delivery_ms,
        limits=limits,
    )
    with home.locked():
        journal = Journal(home.journal, os.urandom(8).hex())
        stop = asyncio.Event()
        ended = asyncio.create_task(run_phone(settings, home, journal, stop))
        agent = RunningPhone(home, stop, ended)
        try:
            yield agent
        finally:
            stop.set()
            if agent.abandoned:
                ended.cancel()
            await asyncio.wait((ended,), timeout=15)
            journal.close()
            if not agent.abandoned:
                ended.result()


class Start:
    """Starts phones in one folder that are stopped when the context ends."""

    def __init__(self, gateway: FakeGateway, folder: Path, stack: AsyncExitStack) -> None:
        self._gateway = gateway
        self._folder = folder
        self._stack = stack

    async def __call__(self, *, limits: Limits = LIMITS, delay_ms: int = 2, delivery_ms: int = 5) -> RunningPhone:
        """A phone that is connected."""
        running = running_phone(self._gateway, self._folder, limits=limits, delay_ms=delay_ms, delivery_ms=delivery_ms)
        started = await self._stack.enter_async_context(running)
        await until(lambda: self._gateway.connections)
        return started


@asynccontextmanager
async def starting(gateway: FakeGateway, folder: Path) -> AsyncIterator[Start]:
    """Phones of this gateway, for the context's time."""
    async with AsyncExitStack() as stack:
        yield Start(gateway, folder, stack)


@asynccontextmanager
async def agent_process(gateway: FakeGateway, folder: Path, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m agent`, killed at the end; `more` are variables."""
    folder.parent.mkdir(exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SMSFLEET_")},
        "SMSFLEET_PHONE_URL": gateway.url,
        "SMSFLEET_PHONE_ENROLMENT_KEY": KEY,
        "SMSFLEET_PHONE_HOME": str(folder),
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", env=environment, cwd=PROJECT, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
