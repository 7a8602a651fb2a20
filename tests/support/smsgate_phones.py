"""Phones of the app's kind inside this process, with a clock that is turned by hand."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent.smsgate.memory import Memory
from agent.smsgate.phone import Phone
from agent.smsgate.radio import SimulatedRadio
from agent.smsgate.setup import Setup
from tests.support.fake_gateway import until
from tests.support.fake_smsgate_server import TOKEN, FakeSmsgateServer
from tests.support.manual_clock import ManualClock


@dataclass
class Handset:
    """All that outlives the app on one phone, and the app."""

    url: str
    memory: Memory = field(default_factory=Memory)
    clock: ManualClock = field(default_factory=ManualClock)
    private_token: str | None = TOKEN
    push_token: str | None = None
    cleartext: bool = False
    report_lag_s: Callable[[], float] = lambda: 0.0

    def __post_init__(self) -> None:
        self.radio = SimulatedRadio(name="test", clock=self.clock, rng=random.Random(1), delay_ms=0, delivery_ms=0)
        self.channel: list[bool] = []
        """Openings and closings of the event channel."""

    def sent(self) -> list[str]:
        """The messages that the radio performed, in order."""
        return [str(line["attempt_id"]) for line in self.radio.lines]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Phone]:
        """The app, from its start to its sudden end."""
        phone = Phone(
            Setup(
                url=self.url,
                private_token=self.private_token,
                push_token=self.push_token,
                cleartext=self.cleartext,
                report_lag_s=self.report_lag_s,
            ),
            memory=self.memory,
            radio=self.radio,
            clock=self.clock,
            rng=random.Random(1),
            on_channel=self.channel.append,
        )
        life = asyncio.create_task(phone.run())
        try:
            yield phone
            assert not life.done(), life.result()
        finally:
            life.cancel()
            await asyncio.wait((life,), timeout=10)


def handset(server: FakeSmsgateServer) -> Handset:
    """A new phone whose owner typed this server's address."""
    return Handset(server.url)


async def waited(phone: Handset, seconds: float) -> None:
    """Lets this time pass as soon as something in the phone waits for it."""
    await until(lambda: phone.clock.sleeping(seconds))
    phone.clock.advance(seconds)


async def at_rest(server: FakeSmsgateServer, phone: Handset) -> None:
    """Waits until the phone has pulled for its start and for its channel, and does nothing until an event."""
    await until(lambda: server.streams and len(server.asked("GET", "/message")) == 2 and phone.clock.sleeping(900))
    await until(lambda: phone.clock.sleeping(86_400) == 3)
