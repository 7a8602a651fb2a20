"""Many phones of the app's kind in this process, with clocks that run, whose radios' sends can be counted."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from agent.smsgate.clock import DeviceClock
from agent.smsgate.memory import Memory
from agent.smsgate.phone import Phone
from agent.smsgate.radio import SimulatedRadio
from agent.smsgate.setup import Setup
from tests.support.caddies import Front
from tests.support.waiting import until

STARTED_AT_ONCE = 32
DELAY_MS = 20


@dataclass
class Member:
    """One phone: its radio, and when its stream opened and closed (Unix seconds)."""

    phone: Phone
    radio: SimulatedRadio
    opened: list[float] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)

    @property
    def listens(self) -> bool:
        """Whether its stream is open."""
        return len(self.opened) > len(self.closed)

    def note(self, is_open: bool) -> None:
        """Its stream has opened or closed."""
        (self.opened if is_open else self.closed).append(time.time())


class AppFleet:
    """The phones."""

    def __init__(self, members: list[Member]) -> None:
        """Made by `running`."""
        self.members = members

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, count: int, front: Front, enrolment_key: str) -> AsyncIterator["AppFleet"]:
        """So many phones, registered by one key, each with an open stream, for the context's time."""
        context = front.context()
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        url = f"{front.url}/mobile/v1"
        setups = [Setup(url=url, private_token=enrolment_key, name=f"app-{n}", tls=context) for n in range(count)]
        fleet = cls([_member(setup, connector) for setup in setups])
        lives: list[asyncio.Task[None]] = []
        places = asyncio.Semaphore(STARTED_AT_ONCE)

        async def start(member: Member) -> None:
            async with places:
                lives.append(asyncio.create_task(member.phone.run()))
                await until(lambda: _listens(member), "a phone listens", 60)

        try:
            await asyncio.gather(*(start(member) for member in fleet.members))
            yield fleet
            assert not [life for life in lives if life.done()]
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
            await connector.close()

    @property
    def performed(self) -> list[dict[str, Any]]:
        """The sends that the radios performed."""
        return [line for member in self.members for line in member.radio.lines]

    def ask(self) -> None:
        """Every phone asks for its list, as it does from time to time."""
        for member in self.members:
            member.phone.ask()

    async def all_listen(self, within_s: float) -> None:
        """Waits until every stream is open."""

        async def all_of_them() -> bool:
            return all(member.listens for member in self.members)

        await until(all_of_them, "every phone listens", within_s)


def _member(setup: Setup, connector: aiohttp.TCPConnector) -> Member:
    clock, rng = DeviceClock(), random.Random(setup.name)
    radio = SimulatedRadio(name=setup.name, clock=clock, rng=rng, delay_ms=DELAY_MS, delivery_ms=DELAY_MS)

    def note(is_open: bool) -> None:
        member.note(is_open)

    phone = Phone(
        setup,
        memory=Memory(),
        radio=radio,
        clock=clock,
        rng=rng,
        connector=connector,
        on_channel=note,
    )
    member = Member(phone, radio)
    return member


async def _listens(member: Member) -> bool:
    return member.listens
