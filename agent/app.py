"""Puts one phone together, runs it, and stops it in the order that loses nothing."""

import asyncio
import logging
import random
import secrets
import signal
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from agent.backoff import Backoff
from agent.client import Client
from agent.drivers.base import RadioDriver
from agent.drivers.simulated import SimulatedRadio
from agent.errors import AgentError
from agent.home import PhoneHome
from agent.incoming import Spool
from agent.journal import Journal
from agent.lanes import Lanes
from agent.ledger import Ledger
from agent.settings import Settings
from agent.work import Desk

SOFTWARE: Final = "smsfleet-agent/1"

_PRUNE_EVERY_S: Final = 3600.0

log = logging.getLogger("agent")


@dataclass(frozen=True)
class _Phone:
    settings: Settings
    radio: RadioDriver
    desk: Desk
    ledger: Ledger
    lanes: Lanes
    client: Client


def run(settings: Settings) -> str | None:
    """Runs the phone until SIGTERM or SIGINT; gives the reason if it stopped by itself. Raises AgentError."""
    home = PhoneHome(settings.home)
    home.prepare()
    with home.locked():
        try:
            return asyncio.run(_run_until_signal(settings, home))
        except BaseExceptionGroup as group:
            raise _plain(group) from group


async def _run_until_signal(settings: Settings, home: PhoneHome) -> str | None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.protocol == "smsgate":
        # Its HTTP client doubles the time that a phone takes to start; others go without.
        from agent.smsgate import app as smsgate
        from agent.smsgate.memory import Memory

        with closing(Memory(home.journal)) as memory:
            await smsgate.run_phone(settings, home, memory, stop)
        return None
    with closing(Journal(home.journal, secrets.token_hex(16))) as journal:
        return await run_phone(settings, home, journal, stop)


async def run_phone(settings: Settings, home: PhoneHome, journal: Journal, stop: asyncio.Event) -> str | None:
    """Runs one phone until `stop`; gives the reason if it ended by itself. Exceptions come in a group."""
    phone = _build(settings, home, journal)
    async with asyncio.TaskGroup() as outer:
        outer.create_task(phone.ledger.run())
        try:
            interrupted = await phone.ledger.settle_interrupted(None, now_ms())
            if interrupted:
                log.warning("%d attempts were in the radio at a sudden end and are unknown", interrupted)
            return await _work(phone, stop)
        finally:
            phone.ledger.close()


async def _work(phone: _Phone, stop: asyncio.Event) -> str | None:
    async with asyncio.TaskGroup() as tasks:
        sims = [tasks.create_task(phone.lanes.run_sim(sim.slot)) for sim in phone.radio.sims]
        others = [
            tasks.create_task(phone.lanes.run_receipts()),
            tasks.create_task(phone.lanes.run_arrivals()),
            tasks.create_task(_prune(phone.ledger, phone.settings.limits.keep_s)),
        ]
        connection = tasks.create_task(phone.client.run())
        stopped = tasks.create_task(stop.wait())
        await asyncio.wait((connection, stopped), return_when=asyncio.FIRST_COMPLETED)

        log.info("stopping")
        phone.desk.close()
        phone.lanes.ring()
        await asyncio.wait(sims)
        with suppress(TimeoutError):
            async with asyncio.timeout(phone.settings.limits.flush_s):
                if not connection.done():
                    await phone.radio.quiet()
                    await phone.client.flushed()
        reason = connection.result() if connection.done() and not stop.is_set() else None
        for task in (connection, stopped, *others):
            task.cancel()
    return reason


def _build(settings: Settings, home: PhoneHome, journal: Journal) -> _Phone:
    rng = random.SystemRandom()
    ledger = Ledger(journal)
    radio = SimulatedRadio(
        name=settings.name,
        log_file=home.radio_log,
        spool=Spool(home.incoming),
        delay_ms=settings.delay_ms,
        delivery_ms=settings.delivery_ms,
        failure_rate=settings.failure_rate,
        rng=rng,
        now_ms=now_ms,
        channels=settings.channels,
    )
    desk = Desk((sim.slot for sim in radio.sims), radio.channels)
    # The radios and the connection ring each other's bells; each is built with the other's bell only.
    lanes = Lanes(
        radio=radio,
        desk=desk,
        ledger=ledger,
        now_ms=now_ms,
        on_place=lambda: client.place_free(),
        on_report=lambda: client.report_kept(),
    )
    client = Client(
        settings=settings,
        home=home,
        radio=radio,
        desk=desk,
        ledger=ledger,
        backoff=Backoff(settings.limits.backoff_base_s, settings.limits.backoff_cap_s, rng.uniform),
        now_ms=now_ms,
        on_taken=lanes.ring,
        software=SOFTWARE,
    )
    return _Phone(settings, radio, desk, ledger, lanes, client)


def _plain(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The agent's own error in the group, which has a line for people, or else the first one."""
    matching = group.subgroup(AgentError) or group
    error: BaseException = matching
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _prune(ledger: Ledger, keep_s: float) -> None:
    while True:
        while await ledger.prune(now_ms() - int(keep_s * 1000)):
            pass
        await asyncio.sleep(_PRUNE_EVERY_S)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000
