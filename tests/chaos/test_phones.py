"""Uplinks that break right after hand-overs, and a phone that is killed: nothing lost, nothing sent twice."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import SIMS, Agent
from tests.support.load import Load
from tests.support.outcomes import Outcomes, leave_for, radio_times
from tests.support.scale import scaled
from tests.support.system import System, running_system
from tests.support.uplink import Uplink
from tests.support.waiting import until

PHONES = 3
MESSAGES = scaled(small=300, one=300, full=2000)
AWAY_S = scaled(small=5, one=5, full=60)
UNKNOWN_AFTER_S = 15
"""Instead of ten minutes: how long a phone that never comes back may be unseen."""

LEASE_S = 30.0
ELSEWHERE_WITHIN_S = LEASE_S + 5.0
"""What a dead phone had not taken is performed by others within this time."""

TAKEN_PER_SIM = 2
"""One in the radio, one ahead or on its way: more has no SIM taken and not sent."""

ALL_S = 120.0
SETTLED_S = 60.0

pytestmark = pytest.mark.timeout(600)


@dataclass
class Fleet:
    """A system whose three phones reach it over breaking uplinks, in the middle of a load."""

    system: System
    phones: list[Agent]
    uplinks: list[Uplink]
    outcomes: Outcomes
    rng: random.Random
    victim: int = 0
    killed_at: float = 0.0
    performed_then: int = 0

    @property
    def dead(self) -> Agent:
        """The phone that was killed."""
        return self.phones[self.victim]

    async def kill_one(self, silent: bool) -> None:
        """kill -9 of one phone after a random part of the load, in the middle of whatever it does."""
        moment = self.rng.randrange(MESSAGES // 6, MESSAGES // 3)

        async def performed_enough() -> bool:
            return self.outcomes.performed() >= moment

        await until(performed_enough, f"the radios performed {moment}", ALL_S)
        await asyncio.sleep(self.rng.uniform(0, 0.05))  # A random moment, not one right after a poll.
        self.victim = self.rng.randrange(PHONES)
        self.killed_at = time.time()
        self.performed_then = self.outcomes.performed()
        self.uplinks[self.victim].silent = silent
        await self.dead.kill()

    def heal(self) -> None:
        """From now on no uplink is cut."""
        for uplink in self.uplinks:
            uplink.breaking = False

    def check(self, unknown: list[dict[str, Any]], reason: str, most_unperformed: int) -> str:
        """Every message stands in the radios' files once, but for what the dead phone had taken; says how many."""
        told = self.outcomes.count()
        assert told.accepted == MESSAGES, told
        assert not [*told.doubled, *told.other_id, *told.strangers, *told.same_text], told
        assert {(story["device"], story["reason"]) for story in unknown} <= {(self.dead.device, reason)}, unknown
        guids = self.outcomes.accepted
        assert {guids[text] for text in told.lost} <= {story["id"] for story in unknown}, (told.lost, unknown)
        assert len(told.lost) <= most_unperformed, told.lost
        return (
            f"{told.accepted} accepted, {told.performed} performed ({self.performed_then} before the kill),"
            f" {len(unknown)} unknown of which {len(told.lost)} not performed;"
            f" {sum(uplink.cuts for uplink in self.uplinks)} cuts"
        )


@contextlib.asynccontextmanager
async def fleet_under_load(name: str, answers: Path, silent: bool = False, **settings: str) -> AsyncIterator[Fleet]:
    """A fleet in whose load a phone was just killed; `silent`: the gateway did not hear of it."""
    rng = random.Random(name)
    async with (
        running_system(SMSFLEET_PHONE="0", **settings) as system,
        contextlib.AsyncExitStack() as stack,
    ):
        uplinks = [await stack.enter_async_context(Uplink.listening(system.port, rng)) for _ in range(PHONES)]
        phones = [Agent(system, f"phone-{number}", each.url) for number, each in enumerate(uplinks, 1)]
        for phone in phones:
            stack.push_async_callback(phone.stop)
        await asyncio.gather(*(phone.start() for phone in phones))
        fleet = Fleet(system, phones, uplinks, Outcomes(system, answers), rng)
        load = Load(system.base_url, system.key, [f"{name} {n:04}" for n in range(MESSAGES)], answers)
        loading = asyncio.create_task(load.run())
        try:
            await fleet.kill_one(silent)
            await loading
            yield fleet
        finally:
            loading.cancel()


async def test_started_again_with_its_journal(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    async with fleet_under_load(f"again {seed}", tmp_path / "answers.jsonl") as fleet:
        await leave_for(AWAY_S)
        await fleet.dead.start()
        await fleet.outcomes.all_performed(ALL_S, but=SIMS)
        fleet.heal()
        unknown = await fleet.outcomes.settled(SETTLED_S)
        assert len(unknown) <= SIMS
        counts = fleet.check(unknown, "interrupted", most_unperformed=SIMS)
    with capsys.disabled():
        print(f"\n  phone killed, started again after {AWAY_S} s, seed {seed}: {counts}; {_since(begun)}")


@pytest.mark.parametrize("silent", [False, True], ids=["killed", "without power"])
async def test_never_started_again(seed: int, silent: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    soon = {"SMSFLEET_UNKNOWN_AFTER_S": str(UNKNOWN_AFTER_S)}
    async with fleet_under_load(f"never {silent} {seed}", tmp_path / "answers.jsonl", silent, **soon) as fleet:
        fleet.heal()
        await fleet.outcomes.all_performed(ALL_S, but=SIMS * TAKEN_PER_SIM)
        unknown = await fleet.outcomes.settled(SETTLED_S + UNKNOWN_AFTER_S)
        counts = fleet.check(unknown, "silent", most_unperformed=SIMS * TAKEN_PER_SIM)
        others = [phone.folder / "radio.jsonl" for phone in fleet.phones if phone is not fleet.dead]
        last_s = max(radio_times(others).values()) - fleet.killed_at
    with capsys.disabled():
        print(f"\n  phone {'without power' if silent else 'killed'}, never again, seed {seed}: {counts};")
        print(f"  the others performed the last one {last_s:.1f} s after the kill; {_since(begun)}")
    assert last_s <= ELSEWHERE_WITHIN_S


async def test_started_again_with_an_empty_journal(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    async with fleet_under_load(f"empty {seed}", tmp_path / "answers.jsonl") as fleet:
        device = fleet.dead.device
        fleet.dead.lose_journal()
        await fleet.dead.start()
        assert fleet.dead.device == device
        await fleet.outcomes.all_performed(ALL_S, but=SIMS * TAKEN_PER_SIM)
        fleet.heal()
        unknown = await fleet.outcomes.settled(SETTLED_S)
        counts = fleet.check(unknown, "new journal", most_unperformed=SIMS * TAKEN_PER_SIM)
    with capsys.disabled():
        print(f"\n  phone killed, started again with an empty journal, seed {seed}: {counts}; {_since(begun)}")


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.1f} s"
