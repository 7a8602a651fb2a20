"""The rest between two sends of a SIM: kept to, and no obstacle to stopping."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec.structs import replace

from agent.drivers.base import Outgoing, Sent
from agent.drivers.simulated import SimulatedRadio
from agent.incoming import Spool
from agent.journal import Journal
from agent.lanes import Lanes
from agent.ledger import Ledger
from agent.work import Desk
from shared.contracts.phone import Job
from tests.support.fake_gateway import new_job, until


def now_ms() -> int:
    return int(time.time() * 1000)


class Timed(SimulatedRadio):
    """Notes when each send began, by the monotonic clock, in seconds."""

    begun: list[float]

    async def send(self, sms: Outgoing) -> Sent:
        self.begun.append(time.monotonic())
        return Sent(now_ms())


@contextlib.asynccontextmanager
async def one_sim(tmp_path: Path, jobs: list[Job]) -> AsyncIterator[tuple[Timed, Desk, Lanes, Journal]]:
    """A lane that is given these jobs one after the other, as fast as it lets."""
    (tmp_path / "incoming").mkdir()
    radio = Timed(
        name="phone-1",
        log_file=tmp_path / "radio.jsonl",
        spool=Spool(tmp_path / "incoming"),
        delay_ms=0,
        delivery_ms=0,
        failure_rate=0,
        rng=random.Random(1),
        now_ms=now_ms,
    )
    radio.begun = []
    journal = Journal(tmp_path / "journal.db", "id")
    ledger = Ledger(journal)
    desk = Desk((1,))
    waiting = iter(jobs)

    def give() -> None:
        job = next(waiting, None)
        if job is not None:
            desk.offer(job, None, now_ms())
            desk.taken(desk.to_take(now_ms()), [job.attempt])
            lanes.ring()

    lanes = Lanes(radio=radio, desk=desk, ledger=ledger, now_ms=now_ms, on_place=give, on_report=lambda: None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run())
        lane = tasks.create_task(lanes.run_sim(1))
        give()
        yield radio, desk, lanes, journal
        desk.close()
        lanes.ring()
        await asyncio.wait_for(lane, 5)
        ledger.close()
    journal.close()


async def test_a_sim_rests_between_two_sends(tmp_path: Path) -> None:
    jobs = [replace(new_job(1), wait_ms=200) for _ in range(3)]
    async with one_sim(tmp_path, jobs) as (radio, _, _, _):
        await until(lambda: len(radio.begun) == 3)
    first, second, third = radio.begun
    assert second - first >= 0.2
    assert third - second >= 0.2


async def test_an_agent_that_stops_does_not_wait_for_the_rest_and_has_not_begun(tmp_path: Path) -> None:
    resting = replace(new_job(1), wait_ms=3_600_000)
    async with one_sim(tmp_path, [new_job(1), resting]) as (radio, desk, _, journal):
        await until(lambda: len(radio.begun) == 1 and desk.in_hand(resting.attempt))
        states = journal.states([resting.attempt])
    assert len(radio.begun) == 1
    assert states == {}, "its next life is given it again"
