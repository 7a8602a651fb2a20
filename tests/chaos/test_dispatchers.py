"""Two dispatchers at once, one of which dies again and again and then hangs: nothing lost, nothing sent twice."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from tests.support.outcomes import Outcomes, accepted_at, leave_for, radio_times
from tests.support.replica import Replica
from tests.support.scale import scaled
from tests.support.steady import Steady
from tests.support.system import running_system

MESSAGES = scaled(small=300, one=300, full=2000)
AMONG_KILLS = MESSAGES * 3 // 4
KILLS = scaled(small=2, one=2, full=10)
KILL_EVERY_S = 3.0
"""About as long as a pause, a kill and a new start take: so the load lasts as long as the kills."""

HALTED_S = scaled(small=12, one=12, full=60)
PERFORMED_WITHIN_S = 35.0
"""What comes in while one dispatcher hangs is performed within this time."""

PHONES = 3
ALL_S = 120.0

pytestmark = pytest.mark.timeout(600)


async def test_one_of_two_is_killed_and_halted(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    name = f"dispatchers {seed}"
    rng = random.Random(name)
    answers = tmp_path / "answers.jsonl"
    async with running_system(SMSFLEET_PHONE_COUNT=str(PHONES)) as system:
        outcomes, load = Outcomes(system, answers), Steady(system.base_url, system.key, name, answers)
        second = Replica(system, "dispatcher")
        try:
            await second.start()
            killing = asyncio.create_task(_kill_again_and_again(second, rng))
            await load.run(AMONG_KILLS, AMONG_KILLS / (KILLS * KILL_EVERY_S), more=lambda: not killing.done())
            await killing
            killed_s = time.monotonic() - begun

            second.halt()
            halted_at = time.time()
            loading = asyncio.create_task(load.run(MESSAGES - AMONG_KILLS, (MESSAGES - AMONG_KILLS) / HALTED_S))
            await leave_for(HALTED_S)
            second.go_on()
            continued_at = time.time()
            await loading
            await outcomes.all_performed(ALL_S)
            await system.healthy()
            unknown = await outcomes.settled(ALL_S)
        finally:
            await second.stop()
        told, dead = outcomes.count(), await system.dead()
        times, guids = radio_times(system.radio_files), outcomes.accepted.values()
        waits = sorted(times[guid] - accepted_at(guid) for guid in guids if accepted_at(guid) < halted_at)
        halted = sorted(times[guid] - accepted_at(guid) for guid in guids if accepted_at(guid) >= halted_at)
        before_end = sum(accepted_at(guid) >= halted_at and times[guid] < continued_at for guid in guids)
    with capsys.disabled():
        print(
            f"\n  two dispatchers, seed {seed}: {load.sent} sent, {told.accepted} accepted, {told.performed} performed;"
            f" {KILLS} kills in {killed_s:.0f} s, then halted for {HALTED_S} s;"
            f" from acceptance to radio: among kills half within {_middle(waits):.2f} s, all within {waits[-1]:.1f} s;"
            f" during the halt half within {_middle(halted):.2f} s, all within {halted[-1]:.1f} s"
            f" ({before_end} of {len(halted)} performed before it ended); {time.monotonic() - begun:.1f} s"
        )
    assert told.right, told
    assert told.accepted == load.sent >= MESSAGES
    assert not unknown
    assert not dead
    assert halted[-1] <= PERFORMED_WITHIN_S


async def _kill_again_and_again(second: Replica, rng: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(rng.uniform(0.2, KILL_EVERY_S / 2))  # The random moment of the kill.
        await second.kill()
        await second.start()


def _middle(numbers: list[float]) -> float:
    return numbers[len(numbers) // 2]
