"""Postgres, NATS and Valkey in containers, each as docker-compose.yml runs it, on ports of this machine's loopback."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from docker.types import Mount  # type: ignore[import-untyped]
from testcontainers.core.container import DockerContainer

from deploy.local import credentials, postgres
from deploy.local.paths import PROJECT, Home
from deploy.local.ports import free_port
from deploy.local.probes import http_ready, valkey_ready
from tests.support.embedded import TESTS

START_S = 60.0
STORE = str(512 << 20)
"""What each NATS may keep, in bytes."""

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
KEPT = ("user", "read_only", "cap_drop", "security_opt", "stop_signal", "shm_size")
"""What is taken of an entry as it stands."""

NATS_FOLDER = "/etc/nats/smsfleet"


class Server:
    """One server in a container; nobody starts it again but the test."""

    def __init__(
        self,
        name: str,
        variables: Mapping[str, str],
        ports: Mapping[int, int],
        mounts: Sequence[Mount] = (),
        **environment: str,
    ) -> None:
        """`name` in docker-compose.yml; `ports`: the container's and this machine's. Starts nothing."""
        entry = COMPOSE[name]
        self._container = DockerContainer(entry["image"]).with_command(_filled(entry["command"], variables))
        self._container.env = {**_filled(entry["environment"], variables), **environment}
        loopback = {f"{inside}/tcp": ("127.0.0.1", outside) for inside, outside in ports.items()}
        self._container.ports = loopback  # type: ignore[assignment]  # docker takes an address too
        self._container.tmpfs = dict.fromkeys(entry.get("tmpfs", []), "")
        self._container.with_kwargs(mounts=list(mounts), **{each: entry[each] for each in KEPT if each in entry})
        self._name = name
        self._ready: Callable[[], Awaitable[bool]]
        self._made = False

    def known_by(self, ready: Callable[[], Awaitable[bool]]) -> "Server":
        """Itself, ready when this says so."""
        self._ready = ready
        return self

    async def start(self) -> None:
        """Starts it, the first time or again, and waits until it answers."""
        if self._made:
            await asyncio.to_thread(self._container.get_wrapped_container().start)
        else:
            self._made = True
            await asyncio.to_thread(self._container.start)
        deadline = time.monotonic() + START_S
        while not await self._ready():
            assert time.monotonic() < deadline, f"{self._name} does not answer: {self._container.get_logs()}"
            await asyncio.sleep(0.05)

    async def kill(self, signal: str = "SIGKILL") -> None:
        """Ends it by this signal and waits for its end."""
        container = self._container.get_wrapped_container()
        await asyncio.to_thread(container.kill, signal)
        await asyncio.to_thread(container.wait, timeout=15)

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """It stands still for the context's time: it keeps its connections and answers nothing."""
        container = self._container.get_wrapped_container()
        container.pause()
        try:
            yield
        finally:
            container.unpause()

    async def remove(self) -> None:
        """Ends it, if it runs, and deletes what it kept."""
        await asyncio.to_thread(self._container.stop)


class Containers:
    """One set of the three servers; the secrets stand in the home that they are for, as an installation's do."""

    def __init__(self, home: Home) -> None:
        """Makes the secrets and the configuration; starts nothing."""
        home.make()
        port, monitor, redis = free_port(), free_port(), free_port()
        password = credentials.password(home, "valkey")
        self._home = home
        self.nats_url = f"nats://127.0.0.1:{port}"
        self.redis_url = f"redis://default:{password}@127.0.0.1:{redis}/0"
        keys = credentials.nats_public_keys(home, [*credentials.NATS_ROLES, TESTS])
        variables = {f"SMSFLEET_NATS_USER_{role.upper()}": key for role, key in keys.items()}
        variables |= {"SMSFLEET_NATS_STORE": STORE, "SMSFLEET_VALKEY_PASSWORD": password}
        database, self.database_url = postgres_server(home)
        mounts = [Mount(NATS_FOLDER, str(_nats_folder(home)), "bind", read_only=True), Mount("/data", None)]
        tests = {"SMSFLEET_NATS_USER_TESTS": keys[TESTS]}
        nats = Server("nats", variables, {4222: port, 8222: monitor}, mounts, **tests)
        self.servers = {
            "postgres": database,
            "nats": nats.known_by(lambda: http_ready(f"http://127.0.0.1:{monitor}/healthz")),
            "valkey": Server("valkey", variables, {6379: redis}).known_by(
                lambda: valkey_ready("127.0.0.1", redis, password)
            ),
        }

    @property
    def seed(self) -> Path:
        """The key of the one who may do everything at NATS: the tests."""
        return credentials.nats_seed_file(self._home, TESTS)

    @property
    def settings(self) -> dict[str, str]:
        """What `smsfleet up` is told, so that each service has the identity that compose gives it."""
        passwords = postgres.service_passwords(self._home)
        return {
            "SMSFLEET_DATABASE_URL": self.database_url,
            "SMSFLEET_DATABASE_PASSWORDS": ",".join(f"{name}:{secret}" for name, secret in passwords.items()),
            "SMSFLEET_NATS_URL": self.nats_url,
            "SMSFLEET_NATS_NKEY_FOLDER": str(self._home.secrets),
            "SMSFLEET_REDIS_URL": self.redis_url,
        }


def postgres_server(home: Home) -> tuple[Server, str]:
    """A Postgres that is not started yet, and its owner's URL."""
    port, password = free_port(), credentials.password(home, "postgres")
    url = f"postgresql://{postgres.ROLE}:{password}@127.0.0.1:{port}/{postgres.DATABASE}?sslmode=disable"
    server = Server("postgres", {"SMSFLEET_POSTGRES_PASSWORD": password}, {5432: port})
    return server.known_by(lambda: postgres.answers(url)), url


class Contained:
    """A Postgres of a test's own, as tests/support/database.py tells of it."""

    def __init__(self, home: Home) -> None:
        """Starts nothing."""
        self.server, self.url = postgres_server(home)

    async def start(self) -> None:
        """Starts it and waits until it answers."""
        await self.server.start()

    async def crash(self) -> None:
        """Ends it at once."""
        await self.server.kill("SIGQUIT")


@contextlib.asynccontextmanager
async def running_containers(home: Home) -> AsyncIterator[Containers]:
    """Started ones for the context's time."""
    made = Containers(home)
    async with running(*made.servers.values()):
        yield made


@contextlib.asynccontextmanager
async def running(*servers: Server) -> AsyncIterator[None]:
    """These run for the context's time, unless the test ends one."""
    try:
        await asyncio.gather(*(each.start() for each in servers))
        yield
    finally:
        await asyncio.gather(*(each.remove() for each in servers))


def _nats_folder(home: Home) -> Path:
    """Compose's configuration with one user more, in a folder that the server may read."""
    folder = home.path / "nats-configuration"
    folder.mkdir(mode=0o755, exist_ok=True)
    accounts = (PROJECT / "deploy" / "nats" / "accounts.conf").read_text()
    (folder / "nats.conf").write_text((PROJECT / "deploy" / "nats" / "nats.conf").read_text())
    tests = '"users": [{"nkey": $SMSFLEET_NATS_USER_TESTS},'
    (folder / "accounts.conf").write_text(accounts.replace('"users": [', tests, 1))
    return folder


def _filled(told: Any, variables: Mapping[str, str]) -> Any:
    """A part of docker-compose.yml with its variables' values, as compose fills them in."""
    if isinstance(told, dict):
        return {name: _filled(value, variables) for name, value in told.items()}
    if isinstance(told, list):
        return [_filled(value, variables) for value in told]
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: variables[found[1]], told).replace("$$", "$")
