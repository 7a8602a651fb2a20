"""Postgres away for minutes, NATS killed again and again, under load: what was accepted is sent exactly once."""

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.database import running_database
from tests.support.outcomes import Outcomes, accepted_at, leave_for, radio_times
from tests.support.scale import scaled
from tests.support.steady import Steady
from tests.support.system import System, running_system
from tests.support.waiting import until

MESSAGES = scaled(small=300, one=300, full=2000)
POSTGRES_AWAY_S = scaled(small=10, one=10, full=180)
AROUND_S = 5.0
"""How long the load lasts before and after the disturbance."""

NATS_KILLS = scaled(small=2, one=2, full=8)
NATS_KILL_EVERY_S = 6.0
RESTART_S = 60.0
PHONES = 3
ALL_S = 180.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose sockets have names that are short enough."""
    folder = Path(tempfile.mkdtemp(prefix="smsfleet-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_postgres_is_away(
    seed: int, short_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    answers = tmp_path / "answers.jsonl"
    async with (
        running_database(short_folder / "database") as database,
        running_system(SMSFLEET_DATABASE_URL=database.url, SMSFLEET_PHONE_COUNT=str(PHONES)) as system,
    ):
        load = Steady(system.base_url, system.key, f"postgres {seed}", answers)
        loading = asyncio.create_task(load.run(MESSAGES, MESSAGES / (POSTGRES_AWAY_S + 2 * AROUND_S)))
        await leave_for(AROUND_S)
        await database.crash()
        crashed_at = time.time()
        await leave_for(POSTGRES_AWAY_S)
        await database.start()
        back_at = time.time()
        await loading
        outcomes = Outcomes(system, answers)
        await outcomes.all_performed(ALL_S)
        unknown = await outcomes.settled(ALL_S)
        await system.healthy()
        told, dead = outcomes.count(), await system.dead()
        last_s = max(radio_times(system.radio_files).values()) - back_at
        meanwhile = sum(crashed_at <= accepted_at(guid) < back_at for guid in outcomes.accepted.values())
    with capsys.disabled():
        print(
            f"\n  Postgres away for {back_at - crashed_at:.0f} s, seed {seed}: {load.sent} sent,"
            f" {told.accepted} accepted ({meanwhile} while it was away), {told.performed} performed,"
            f" the last one {last_s:.1f} s after it was back; {len(dead)} dead letters;"
            f" {time.monotonic() - begun:.1f} s"
        )
    assert told.right, told
    assert told.accepted == load.sent == MESSAGES
    assert not unknown
    assert not dead


async def test_nats_is_killed(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    name = f"nats {seed}"
    answers = tmp_path / "answers.jsonl"
    async with running_system(SMSFLEET_PHONE_COUNT=str(PHONES)) as system:
        load = Steady(system.base_url, system.key, name, answers)
        killing = asyncio.create_task(_kill_nats_again_and_again(system, random.Random(name)))
        await load.run(MESSAGES, MESSAGES / (NATS_KILLS * NATS_KILL_EVERY_S), more=lambda: not killing.done())
        longest_s = await killing
        outcomes = Outcomes(system, answers)
        await outcomes.all_performed(ALL_S)
        await system.healthy()
        unknown = await outcomes.settled(ALL_S)
        told, statuses, dead = outcomes.count(), outcomes.statuses(), await system.dead()
    with capsys.disabled():
        print(
            f"\n  NATS killed {NATS_KILLS} times, seed {seed}: {load.sent} sent, answers {dict(statuses)},"
            f" {told.accepted} accepted, {told.performed} performed of which {told.performed_unaccepted} were answered"
            f" 503; longest until all was ready again {longest_s:.1f} s; {time.monotonic() - begun:.1f} s"
        )
    assert told.right, told
    assert set(statuses) <= {200, 503}
    assert not unknown
    assert not dead


async def _kill_nats_again_and_again(system: System, rng: random.Random) -> float:
    """Returns the longest time from a kill until everything was ready."""
    longest_s = 0.0
    for _ in range(NATS_KILLS):
        await asyncio.sleep(rng.uniform(0.2, NATS_KILL_EVERY_S / 2))  # The random moment of the kill.
        before = system.service("nats")
        os.kill(before["pid"], signal.SIGKILL)
        killed_at = time.monotonic()

        async def again(before: dict[str, int] = before) -> bool:
            now = system.service("nats")
            return now["pid"] not in (0, before["pid"]) and now["restarts"] > before["restarts"]

        await until(again, "NATS was started again", RESTART_S)
        await system.healthy(RESTART_S)
        longest_s = max(longest_s, time.monotonic() - killed_at)
    return longest_s
