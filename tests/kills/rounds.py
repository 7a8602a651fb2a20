"""One kill round: 500 sends, one kill -9 at a random moment among them, and what the counter says afterwards."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.counter import count, lines
from tests.support.load import CALLERS, Load
from tests.support.system import System
from tests.support.waiting import until

SENDS = 500
PERFORMED_WITHIN_S = 60.0
LATEST_PAUSE_S = 0.01


@dataclass
class Kill:
    """What was killed when, and what was under way at that moment."""

    ended: int
    """Sends that had come to an end, with an answer or without."""
    performed: int
    unanswered: int
    waiting: int
    """Accepted and not yet on a radio."""

    @property
    def in_flight(self) -> int:
        """What the kill could have harmed."""
        return self.unanswered + self.waiting


class Ledger:
    """The answers of all rounds on one system, checked together after each: a late double is seen too."""

    def __init__(self, system: System, folder: Path) -> None:
        """`folder` keeps one file of answers for each round."""
        self._system = system
        self._folder = folder
        self._files: list[Path] = []

    def new_file(self) -> Path:
        """For the next round."""
        self._files.append(self._folder / f"answers-{len(self._files) + 1}.jsonl")
        return self._files[-1]

    def lost(self) -> list[str]:
        """What was accepted and not performed so far."""
        return count(lines(self._files), lines(self._system.radio_files)).lost

    def count(self) -> dict[str, Any]:
        """What the counter, a program of its own, says about everything so far."""
        done = subprocess.run(
            [sys.executable, _COUNTER, "--answers", *self._files, "--radio", *self._system.radio_files],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stdout, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert told["right"] is (done.returncode == 0)
        return told


_COUNTER = Path(__file__).parents[1] / "support" / "counter.py"


async def kill_round(
    system: System, ledger: Ledger, service: str, name: str, rng: random.Random, *, among_answers: bool
) -> Kill:
    """Plays one round and returns what was in flight; fails when the service does not come back.

    The random moment falls while sends are answered or, later in their lives, while radios perform them.
    """
    await system.healthy()
    before = system.service(service)
    radio_before = _lines_on_radio(system)
    load = Load(system.base_url, system.key, [f"{name} {n:04}" for n in range(SENDS)], ledger.new_file())
    loop = asyncio.get_running_loop()
    killed: asyncio.Future[Kill] = loop.create_future()

    def kill() -> None:
        os.kill(before["pid"], signal.SIGKILL)
        performed = _lines_on_radio(system) - radio_before
        killed.set_result(Kill(load.ended, performed, load.unanswered, max(0, load.accepted - performed)))

    async def performed_enough() -> bool:
        return _lines_on_radio(system) - radio_before >= moment

    moment = rng.randrange(1, SENDS - CALLERS)
    pause = rng.uniform(0, LATEST_PAUSE_S)
    async with asyncio.timeout(PERFORMED_WITHIN_S), asyncio.TaskGroup() as tasks:
        if among_answers:
            load.after(moment, lambda: loop.call_later(pause, kill))
            tasks.create_task(load.run())
        else:
            tasks.create_task(load.run())
            await until(performed_enough, f"the radios performed {moment}", PERFORMED_WITHIN_S)
            loop.call_later(pause, kill)
        result = await killed

    async def again() -> bool:
        now = system.service(service)
        return now["pid"] not in (0, before["pid"]) and now["restarts"] > before["restarts"]

    await until(again, f"{service} was started again")
    await _settled(system, ledger)
    return result


def _lines_on_radio(system: System) -> int:
    return sum(file.read_bytes().count(b"\n") for file in system.radio_files if file.exists())


async def _settled(system: System, ledger: Ledger) -> None:
    """Waits until everything accepted was performed and nothing is left that could be performed again."""

    async def performed() -> bool:
        return not ledger.lost()

    # When the time is over it is for the counter to say what is missing.
    with contextlib.suppress(AssertionError):
        await until(performed, "everything accepted was performed", PERFORMED_WITHIN_S)
    await system.healthy()
    try:
        await system.at_rest(PERFORMED_WITHIN_S)
    except AssertionError as problem:
        problem.add_note(f"the counter says: {ledger.count()}")
        raise
