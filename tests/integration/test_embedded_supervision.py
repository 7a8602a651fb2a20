"""Programs are kept running, recognised, and ended: ours only, and all of ours."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.errors import LocalError
from deploy.local.keeper import Keeper
from deploy.local.processes import Mark, Program
from tests.conftest import Eventually

PATIENCE_S = 10.0


def program(folder: Path, script: str, stop_after_s: float = 5.0) -> Program:
    """A shell script that is ready when it has made the file `up`."""
    up = folder / "up"

    async def ready() -> bool:
        return up.exists()

    return Program(
        name="sample",
        argv=["/bin/sh", "-c", script, "sample", folder],
        log=folder / "sample.log",
        ready=ready,
        env={"PATH": "/usr/bin:/bin"},
        cwd=folder,
        stop_after_s=stop_after_s,
        prepare=lambda: up.unlink(missing_ok=True),
    )


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Callable[..., Keeper]]:
    """Starts a keeper of a script and stops it at the end."""
    keepers: list[Keeper] = []

    def start(script: str, tries: int = 1, stop_after_s: float = 5.0) -> Keeper:
        keeper = Keeper(program(tmp_path, script, stop_after_s), lambda: None, tries)
        keepers.append(keeper)
        keeper.start()
        return keeper

    yield start
    for keeper in keepers:
        await keeper.stop()


async def test_a_program_that_dies_is_started_again(kept: Callable[..., Keeper], eventually: Eventually) -> None:
    keeper = kept("touch up; exec sleep 60")
    await keeper.wait_ready(PATIENCE_S)
    first = keeper.record.pid
    os.kill(first, signal.SIGKILL)

    async def again() -> bool:
        return keeper.record.pid not in (0, first)

    await eventually(again)
    await keeper.wait_ready(PATIENCE_S)
    assert keeper.record.restarts == 1


async def test_the_pauses_between_restarts_grow(
    kept: Callable[..., Keeper], tmp_path: Path, eventually: Eventually
) -> None:
    keeper = kept("date +%s.%N >> starts; touch up; sleep 0.05")
    await keeper.wait_ready(PATIENCE_S)

    def times() -> list[float]:
        return [float(line) for line in (tmp_path / "starts").read_text().splitlines()]

    async def four() -> bool:
        return len(times()) >= 4

    await eventually(four)
    gaps = [later - earlier for earlier, later in zip(times()[:3], times()[1:4], strict=True)]
    assert 0.2 <= gaps[0] < gaps[1] < gaps[2]


async def test_a_program_that_cannot_start_is_given_up_with_its_own_words(kept: Callable[..., Keeper]) -> None:
    keeper = kept("echo 'ERROR: no such thing'; exit 3", tries=2)
    with pytest.raises(LocalError) as problem:
        await keeper.wait_ready(PATIENCE_S)
    assert "sample does not start (exit code 3): ERROR: no such thing" in str(problem.value)


async def test_a_missing_program_is_told(tmp_path: Path) -> None:
    missing = Program("sample", ["/nowhere/program"], tmp_path / "log", _never, cwd=tmp_path)
    keeper = Keeper(missing, lambda: None)
    keeper.start()
    with pytest.raises(LocalError, match="sample cannot be started"):
        await keeper.wait_ready(PATIENCE_S)


async def _never() -> bool:
    return False


async def test_a_program_that_will_not_stop_is_killed_after_its_time(kept: Callable[..., Keeper]) -> None:
    keeper = kept("trap '' TERM; touch up; while :; do sleep 1; done", stop_after_s=0.3)
    await keeper.wait_ready(PATIENCE_S)
    mark = keeper.record.mark
    assert mark.alive
    assert not await keeper.stop()
    assert not mark.alive


async def test_hurry_ends_the_wait(kept: Callable[..., Keeper]) -> None:
    keeper = kept("trap '' TERM; touch up; while :; do sleep 1; done", stop_after_s=60)
    await keeper.wait_ready(PATIENCE_S)
    hurry = asyncio.Event()
    stopping = asyncio.create_task(keeper.stop(hurry))
    hurry.set()
    await asyncio.wait_for(stopping, PATIENCE_S)


async def test_what_still_runs_but_no_longer_answers_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr("deploy.local.keeper._WATCH_EVERY_S", 0.05)

    async def deaf() -> bool:
        return False

    keeper = Keeper(program(tmp_path, "touch up; exec sleep 60"), lambda: None, alive=deaf)
    keeper.start()
    await keeper.wait_ready(PATIENCE_S)

    async def restarted() -> bool:
        return keeper.record.restarts >= 1

    try:
        await eventually(restarted)
    finally:
        await keeper.stop()


def test_only_the_very_process_is_ended() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        mine = Mark(process.pid, processes.started(process.pid))
        assert mine.alive
        assert processes.end_left_over([(Mark(process.pid, "another:1"), signal.SIGTERM)]) == 0
        assert mine.alive
        assert processes.end_left_over([(mine, signal.SIGTERM)]) == 1
        assert not mine.alive


def test_a_left_over_that_ignores_the_signal_is_killed() -> None:
    script = ["/bin/sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        mark = Mark(process.pid, processes.started(process.pid))
        assert processes.end_left_over([(mark, signal.SIGTERM)], after_s=0.2) == 1
        process.wait(PATIENCE_S)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_takes_its_programs_along(tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import pathlib, sys, time\n"
        "from deploy.local.processes import Program, spawn\n"
        "async def ready(): return True\n"
        "process = spawn(Program('child', ['/bin/sleep', '60'], pathlib.Path(sys.argv[1]) / 'log', ready))\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, parent, tmp_path], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        mark = Mark(child, processes.started(child))
        assert mark.alive
        process.kill()
    deadline = time.monotonic() + PATIENCE_S
    while mark.alive:
        assert time.monotonic() < deadline, "the program outlived its supervisor"
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
