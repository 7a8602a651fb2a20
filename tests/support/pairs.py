"""Two processes of each service on servers of their own, as an operator runs them, without a supervisor."""

import asyncio
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from deploy.local import credentials, placement, servers, setup
from deploy.local.errors import LocalError
from deploy.local.paths import PROJECT, Home
from deploy.local.ports import free_port
from deploy.local.processes import spawn, stop
from deploy.local.workers import SERVICES
from shared.db.privileges import url_for
from tests.support.http import ask
from tests.support.system import ONE_ADDRESS, System
from tests.support.waiting import until

ADDRESSES = ("127.0.0.1", "127.0.0.2")
"""Of the two gateways, which listen on the same port as the containers of compose do."""

READY_S = 60.0
STOP_S = 40.0


class Process:
    """One replica of a service. Nobody starts it again but the test."""

    def __init__(self, service: str, number: int, environment: Mapping[str, str], logs: Path) -> None:
        """Starts nothing."""
        self.name = f"{service}-{number}"
        self._service = service
        self._environment = environment
        self._operations = f"http://127.0.0.1:{environment['SMSFLEET_METRICS_PORT']}"
        self._log = logs / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Starts it and waits until it is ready."""
        self.begin()
        await until(self.ready, f"{self.name} is ready", READY_S)

    def begin(self) -> None:
        """Starts it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self._service}"],
                cwd=PROJECT,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def stop(self) -> float:
        """SIGTERM; how many seconds it took to end. It must end by itself, without a failure."""
        assert self._process is not None
        began = time.monotonic()
        self._process.terminate()
        code = await asyncio.to_thread(self._process.wait, STOP_S)
        assert code == 0, f"{self.name}: {self._log.read_text()[-2000:]}"
        return time.monotonic() - began

    async def end(self) -> None:
        """Ends it somehow, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait, STOP_S)

    async def ready(self) -> bool:
        """Whether it says so; fails when it has ended."""
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            return (await ask(self._operations, "GET", "/health/ready", within_s=2)).status == 200
        except (OSError, TimeoutError):
            return False


class Pairs(System):
    """The processes by service, two of each, and what the first account can do with them."""

    of: dict[str, list[Process]]

    @contextlib.asynccontextmanager
    async def serving(self, nats_url: str = "", nats_replicas: int = 1) -> AsyncIterator[None]:
        """Servers, schema, streams, services and the first account for the context's time.

        `nats_url`: an external NATS that admits this home's keys, its servers separated by commas.
        """
        place = Home(self.home)
        place.make()
        installed = await servers.install(place, lambda _: None, {"SMSFLEET_NATS_URL": nats_url} if nats_url else {})
        running = [(program, spawn(program)) for program in installed.programs]
        try:
            for program, _ in running:
                await until(program.ready, f"{program.name} answers", READY_S)
            one = installed.nats_url.partition(",")[0]
            self._environment |= {
                "SMSFLEET_DATABASE_URL": installed.database_url,
                "SMSFLEET_NATS_URL": one,
                "SMSFLEET_NATS_NKEY_FILE": str(credentials.nats_seed_file(place, "cli")),
            }
            await self._prepared(place, installed, nats_replicas)
            self.of = self._made(place, installed)
            everyone = [each for pair in self.of.values() for each in pair]
            try:
                for each in everyone:
                    each.begin()
                for each in everyone:
                    await until(each.ready, f"{each.name} is ready", READY_S)
                key = {"nkeys_seed": str(credentials.nats_seed_file(place, "cli"))}
                await setup.ensure_credentials(place, f"http://{ADDRESSES[0]}:{self.port}", one, key)
                yield
            finally:
                await asyncio.gather(*(each.end() for each in everyone))
        finally:
            await asyncio.gather(*(stop(process, each.stop_signal, each.stop_after_s) for each, process in running))
            with contextlib.suppress(OSError, LocalError):
                # As root Postgres keeps its data outside its home.
                shutil.rmtree(placement.outside_area(place), ignore_errors=True)

    async def _prepared(self, place: Home, installed: servers.Servers, nats_replicas: int) -> None:
        """Schema, roles and streams, by the commands that compose and Kubernetes run."""
        passwords = ",".join(f"{name}:{password}" for name, password in installed.database_passwords.items())
        more = {
            "SMSFLEET_DATABASE_PASSWORDS": passwords,
            "SMSFLEET_NATS_NKEY_FILE": str(credentials.nats_seed_file(place, "provision")),
            "SMSFLEET_NATS_REPLICAS": str(nats_replicas),
        }
        for command in ("migrate", "provision"):
            done = await asyncio.to_thread(self.run, command, **more)
            assert done.returncode == 0, f"{done.stdout}{done.stderr}"

    def _made(self, place: Home, installed: servers.Servers) -> dict[str, list[Process]]:
        made: dict[str, list[Process]] = {}
        for service in SERVICES:
            password = installed.database_passwords[service]
            for number, address in enumerate(ADDRESSES, 1):
                environment = {
                    **self.environment(),
                    "SMSFLEET_DATABASE_URL": url_for(installed.database_url, service, password),
                    "SMSFLEET_NATS_URL": installed.nats_url,
                    "SMSFLEET_NATS_NKEY_FILE": str(credentials.nats_seed_file(place, service)),
                    "SMSFLEET_REDIS_URL": installed.redis_url,
                    "SMSFLEET_SECRET_KEY": credentials.secret_key(place),
                    "SMSFLEET_BIND": address,
                    "SMSFLEET_METRICS_PORT": str(free_port()),
                }
                made.setdefault(service, []).append(Process(service, number, environment, place.log(service).parent))
        return made


@contextlib.asynccontextmanager
async def made_pairs(**settings: str) -> AsyncIterator[Pairs]:
    """An installation with a home of its own, which is not started."""
    # A folder with a short path: sockets inside it have names of 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="smsfleet-"))
    try:
        yield Pairs(folder / "home", **{**ONE_ADDRESS, "SMSFLEET_TRUSTED_PROXIES": "127.0.0.0/8", **settings})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
