"""Puts one phone of this kind together from the agent's settings and runs it in its folder."""

import asyncio
import itertools
import random
import time
from contextlib import suppress
from typing import Final

from agent.home import PhoneHome
from agent.incoming import Spool
from agent.settings import Settings
from agent.smsgate.clock import DeviceClock
from agent.smsgate.memory import Memory
from agent.smsgate.phone import Phone
from agent.smsgate.radio import SimulatedRadio
from agent.smsgate.setup import Setup

_SPOOL_POLL_S: Final = 0.1


async def run_phone(settings: Settings, home: PhoneHome, memory: Memory, stop: asyncio.Event) -> None:
    """Runs one phone until `stop`. Exceptions come in a group."""
    phone = _build(settings, home, memory)
    async with asyncio.TaskGroup() as tasks:
        life = tasks.create_task(phone.run())
        spool = tasks.create_task(_receive(phone, Spool(home.incoming)))
        stopped = tasks.create_task(stop.wait())
        await asyncio.wait((life, stopped), return_when=asyncio.FIRST_COMPLETED)
        # The app knows no such courtesy, but what its radio still owed at the end nobody would ever hear.
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.limits.flush_s):
                await phone.settled()
        for task in (life, spool, stopped):
            task.cancel()


def _build(settings: Settings, home: PhoneHome, memory: Memory) -> Phone:
    rng = random.SystemRandom()
    clock = DeviceClock(utc_offset_min=time.localtime().tm_gmtoff // 60)
    sessions = itertools.count(1)

    def show(is_open: bool) -> None:
        if is_open:
            home.say_connected(phone.device or "", next(sessions))
        else:
            home.say_disconnected()

    phone = Phone(
        Setup(
            url=settings.url,
            private_token=settings.enrolment_key,
            name=f"SMSFleet/{settings.name}",
            cleartext=True,
        ),
        memory=memory,
        radio=SimulatedRadio(
            name=settings.name,
            clock=clock,
            rng=rng,
            log_file=home.radio_log,
            delay_ms=settings.delay_ms,
            delivery_ms=settings.delivery_ms,
            failure_rate=settings.failure_rate,
        ),
        clock=clock,
        rng=rng,
        on_channel=show,
    )
    return phone


async def _receive(phone: Phone, spool: Spool) -> None:
    while True:
        for arrival in spool.waiting():
            await phone.receive(arrival.number, arrival.text, arrival.sim, arrival.at_ms)
            spool.remove([arrival.id])
        await asyncio.sleep(_SPOOL_POLL_S)
