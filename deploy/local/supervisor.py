"""Runs a whole installation: starts it in phases, keeps every process alive, and stops it in order."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeVar

from deploy.local import caddy, ports, setup, workers
from deploy.local import servers as all_servers
from deploy.local.dashboard import first_link
from deploy.local.errors import LocalError, PortTaken
from deploy.local.keeper import Keeper
from deploy.local.paths import Home
from deploy.local.probes import http_ready
from deploy.local.processes import Program
from deploy.local.progress import Progress, Started
from deploy.local.servers import Servers
from deploy.local.settings import Settings
from deploy.local.state import Connections, Run, connections, new_run, read_credentials, write_credentials
from shared.errors import SmsFleetError

T = TypeVar("T")

PORT_TRIES: Final = 3
SERVER_START_S = 60.0
SERVICE_START_S = 60.0
PHONE_START_S = 30.0
SERVICE_TRIES = 3
SECOND_THOUGHT_S = 1.0
"""Asked to stop again after this time we kill; sooner it is the same wish, heard by make and by its group."""


class Supervisor:
    """One installation, from its first process to its last."""

    def __init__(self, home: Home, settings: Settings, progress: Progress) -> None:
        """Starts nothing."""
        self._home = home
        self._settings = settings
        self._progress = progress
        self._run: Run = new_run(settings.base_url)
        self._servers: dict[str, Keeper] = {}
        self._services: dict[str, Keeper] = {}
        self._phones: dict[str, Keeper] = {}
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._look = asyncio.Event()
        self._phases: dict[str, float] = {}
        self._over = False

    async def run(self) -> int:
        """Start everything, stay until told to stop, stop everything; return the exit code."""
        self._take_signals()
        failure: str | None = None
        try:
            starting = asyncio.create_task(self._start(), name="start")
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
            try:
                await starting
            except asyncio.CancelledError:
                failure = "stopped before everything was up"
            else:
                await self._stay(stopping)
        except (SmsFleetError, OSError) as problem:
            failure = " ".join(str(problem).split())
        except Exception as problem:
            logging.exception("the start failed")
            failure = f"{problem!r}: see {self._home.log('supervisor')}"
        if failure is None:
            self._progress.note("stopping: phones, gateway, dispatcher, webhooks and auth, servers")
        await self._end()
        if failure is not None:
            self._progress.failed(failure)
            return 1
        self._progress.note("stopped")
        return 0

    def _take_signals(self) -> None:
        asked_at = 0.0

        def asked() -> None:
            nonlocal asked_at
            now = time.monotonic()
            if not self._stop.is_set():
                asked_at = now
                self._stop.set()
            elif now - asked_at > SECOND_THOUGHT_S:
                self._hurry.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, asked)
        loop.add_signal_handler(signal.SIGUSR1, self._look.set)

    async def _start(self) -> None:
        begun = time.monotonic()
        self._save()
        ports.require_free(self._settings.bind, self._settings.port)
        if tls := self._settings.tls:
            for port, setting in ((tls.port, "SMSFLEET_TLS_PORT"), (tls.ca_port, "SMSFLEET_TLS_CA_PORT")):
                ports.require_free("0.0.0.0", port, setting)  # noqa: S104 (phones are on the network)
        async with self._phase("servers") as detail:
            servers = await self._on_free_ports(self._servers, self._start_servers)
            detail.append(", ".join(self._servers) or "external")
        keys = {role: str(path) for role, path in servers.nats_nkey_files.items()}
        known = Connections(servers.database_url, servers.nats_url, servers.redis_url, keys)
        known.save(self._home)
        if not keys:
            known = connections(self._home)
        async with self._phase("schema"):
            await setup.migrate(servers.database_url, servers.database_passwords)
        async with self._phase("streams"):
            await setup.provision(servers.nats_url, known.nkey("provision"))
        async with self._phase("services") as detail:
            await self._on_free_ports(self._services, lambda: self._start_services(servers))
            detail.append(", ".join(self._services))
        if tls:
            async with self._phase("tls") as detail:
                keeper = self._keep(self._servers, caddy.install(self._home, self._settings, tls), watched=True)
                await _all_ready([keeper], SERVER_START_S)
                detail.append(self._settings.public_url)
        async with self._phase("account"):
            reached = {"public_url": self._settings.public_url, "ca_url": tls.ca_url if tls else ""}
            write_credentials(self._home, reached)
            credentials = await setup.ensure_credentials(
                self._home, self._settings.base_url, servers.nats_url, known.nkey("cli")
            )
            link = await self._link(credentials["dashboard_url"], servers.nats_url, known.nkey("cli"))
        async with self._phase("phones") as detail:
            self._start_phones(credentials.get("enrolment_key", ""))
            await _all_ready(self._phones.values(), PHONE_START_S)
            detail.append(", ".join(self._phones) or "none")
        if tls:
            fingerprint = caddy.publish(self._home, tls)
            self._progress.note(f"phones trust it once they have the root certificate: {tls.ca_url}")
            self._progress.note(f"its SHA-256: {fingerprint}")
        self._run.ready = True
        self._save()
        self._progress.ready(
            Started(
                home=str(self._home.path),
                base_url=self._settings.base_url,
                api_key=credentials["api_key"],
                dashboard_url=credentials["dashboard_url"],
                dashboard_link=link,
                phones=list(self._phones),
                seconds=round(time.monotonic() - begun, 2),
                phases=self._phases,
                pid=os.getpid(),
            )
        )

    async def _on_free_ports(self, group: dict[str, Keeper], start: Callable[[], Awaitable[T]]) -> T:
        """What `start` returns. It is called again, and takes other ports, where somebody was quicker to listen."""
        for _ in range(PORT_TRIES - 1):
            try:
                return await start()
            except PortTaken as problem:
                self._progress.note(f"{problem}: it tries another one")
                await self._stop_all(group.values())
                group.clear()
        return await start()

    async def _start_servers(self) -> Servers:
        servers = await all_servers.install(self._home, self._progress.note, self._settings.environment)
        keepers = [self._keep(self._servers, program, watched=True) for program in servers.programs]
        await _all_ready(keepers, SERVER_START_S)
        return servers

    async def _start_services(self, servers: Servers) -> None:
        programs = [workers.service(name, self._home, servers, self._settings) for name in workers.SERVICES]
        keepers = [self._keep(self._services, each, SERVICE_TRIES, watched=True) for each in programs]
        await _all_ready(keepers, SERVICE_START_S)

    async def _link(self, dashboard: str, nats_url: str, nkey: Mapping[str, str]) -> str:
        try:
            return (await first_link(dashboard, nats_url, nkey)).link
        except SmsFleetError as problem:
            # Whatever else it is for works without.
            self._progress.note(f"no link to the dashboard is made: {problem}")
            return ""

    async def _stay(self, stopping: "asyncio.Task[bool]") -> None:
        while not stopping.done():
            looking = asyncio.create_task(self._look.wait())
            await asyncio.wait({stopping, looking}, return_when=asyncio.FIRST_COMPLETED)
            looking.cancel()
            if self._look.is_set():
                self._look.clear()
                try:
                    self._start_phones(read_credentials(self._home).get("enrolment_key", ""))
                except (LocalError, OSError) as problem:
                    self._progress.note(f"no further phone is started: {problem}")

    def _start_phones(self, enrolment_key: str) -> None:
        for phone in workers.phones(self._home, self._settings, enrolment_key):
            if phone.name not in self._phones:
                program = workers.phone(phone, self._home, self._settings)
                self._keep(self._phones, program, SERVICE_TRIES)

    def _keep(self, group: dict[str, Keeper], program: Program, tries: int = 1, watched: bool = False) -> Keeper:
        alive = None
        url = (program.health_url or "").replace("/health/ready", "/health/live")
        if watched and url:

            async def alive() -> bool:
                return await http_ready(url)

        keeper = Keeper(program, self._save, tries, alive)
        group[program.name] = keeper
        keeper.start()
        return keeper

    async def _end(self) -> None:
        self._run.ready = False
        await self._stop_all(self._phones.values())
        await self._stop_all(each for name, each in self._services.items() if name == "gateway")
        await self._stop_all(each for name, each in self._services.items() if name != "gateway")
        await self._stop_all(self._servers.values())
        self._over = True
        with contextlib.suppress(OSError):
            self._home.run.unlink(missing_ok=True)

    async def _stop_all(self, keepers: Iterable[Keeper]) -> None:
        stops = [keeper.stop(self._hurry) for keeper in keepers]
        for outcome in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(outcome, BaseException):
                logging.error("a process could not be stopped", exc_info=outcome)

    def _save(self) -> None:
        if self._over:
            return
        self._run.servers = [keeper.record for keeper in self._servers.values()]
        self._run.services = [keeper.record for keeper in self._services.values()]
        self._run.phones = [keeper.record for keeper in self._phones.values()]
        try:
            self._run.save(self._home)
        except OSError as problem:
            # A full disk: the processes matter more than the file that tells of them.
            self._progress.note(f"cannot write {self._home.run}: {problem}")

    @contextlib.asynccontextmanager
    async def _phase(self, name: str) -> AsyncIterator[list[str]]:
        begun = time.monotonic()
        detail: list[str] = []
        yield detail
        self._phases[name] = round(time.monotonic() - begun, 2)
        self._progress.phase(name, self._phases[name], " ".join(detail))


async def _all_ready(keepers: Iterable[Keeper], timeout_s: float) -> None:
    waits = [asyncio.create_task(keeper.wait_ready(timeout_s)) for keeper in keepers]
    try:
        await asyncio.gather(*waits)
    finally:
        for wait in waits:
            wait.cancel()
