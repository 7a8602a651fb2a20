"""Real Postgres, NATS and Valkey for tests, by the same code that runs them for users."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import credentials, placement, servers
from deploy.local.errors import LocalError, PortTaken
from deploy.local.paths import Home, write_private
from deploy.local.processes import Program, spawn, stop
from deploy.local.server_logs import failure, size

START_S = 60.0
"""How long the three servers may take on a busy machine."""

TESTS = "tests"
"""Who plays every role of NATS in one process."""


@dataclass
class Servers:
    """Running servers of this test run's own."""

    database_url: str
    """`postgresql://...@/smsfleet?host=<folder>`; its role may create and drop databases."""
    nats_url: str
    nats_nkey_seed: Path
    """File with the key of a user that may do everything; `nats_nkey_files` has one for each role."""
    redis_url: str
    nats_nkey_files: dict[str, Path]
    home: Path
    programs: dict[str, Program] = field(default_factory=dict)
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    async def start(self, name: str) -> None:
        """Start `postgres`, `nats` or `valkey` and wait until it answers; raise LocalError if it does not."""
        program = self.programs[name]
        begins = size(program.log)
        process = self.processes[name] = spawn(program)
        deadline = time.monotonic() + START_S
        while not await program.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise failure(name, program.log, begins, program.data, process.poll())
            await asyncio.sleep(0.03)

    async def stop_one(self, name: str) -> None:
        """Stop one server in good order and wait for its end."""
        program = self.programs[name]
        await stop(self.processes[name], program.stop_signal, program.stop_after_s)

    async def kill(self, name: str) -> None:
        """kill -9 one server and wait for its end."""
        process = self.processes[name]
        process.kill()
        await asyncio.to_thread(process.wait, 10)

    async def stop(self) -> None:
        """Stop all servers; what Postgres kept outside `home` (as root) goes too."""
        await asyncio.gather(*(self.stop_one(name) for name in self.processes))
        with contextlib.suppress(OSError, LocalError):
            shutil.rmtree(placement.outside_area(Home(self.home)), ignore_errors=True)


async def start_servers(home: Path) -> Servers:
    """Start one set of embedded servers below `home` (made where missing); return when all answer."""
    for _ in range(2):
        with contextlib.suppress(PortTaken):
            return await _started(home)
    return await _started(home)


async def _started(home: Path) -> Servers:
    place = Home(home)
    place.make()
    installed = await servers.install(place, say=lambda _: None, external={})
    admit_tests(place)
    running = Servers(
        database_url=installed.database_url,
        nats_url=installed.nats_url,
        nats_nkey_seed=credentials.nats_seed_file(place, TESTS),
        redis_url=installed.redis_url,
        nats_nkey_files=dict(installed.nats_nkey_files),
        home=home,
        programs={program.name: program for program in installed.programs},
    )
    try:
        await asyncio.gather(*(running.start(name) for name in running.programs))
    except BaseException:
        await running.stop()
        raise
    return running


def admit_tests(home: Home) -> bool:
    """Add the user `tests` to the configuration of an installation's NATS; return False if it was in it already."""
    configuration = home.secrets / "nats.conf"
    settings = json.loads(configuration.read_text())
    key = credentials.nats_public_keys(home, [TESTS])[TESTS]
    users = settings["accounts"]["APP"]["users"]
    if {"nkey": key} in users:
        return False
    users.append({"nkey": key})
    write_private(configuration, json.dumps(settings))
    return True
