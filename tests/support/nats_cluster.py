"""Three NATS servers as one cluster, by the files that Kubernetes mounts, with addresses of this machine."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from deploy.local import credentials
from deploy.local.paths import PROJECT, Home
from deploy.local.ports import free_port
from deploy.local.probes import http_ready
from deploy.local.processes import Program, spawn, stop
from deploy.local.programs import bundled
from tests.support.waiting import until

NATS = PROJECT / "deploy" / "nats"
CLUSTER = PROJECT / "deploy" / "k8s" / "base" / "cluster.conf"
NODES = 3
START_S = 60.0
STORE_BYTES = 1 << 30


class Node:
    """One server of the cluster; it keeps its store when it dies."""

    def __init__(self, name: str, program: Program, port: int) -> None:
        """Starts nothing."""
        self.name = name
        self.url = f"nats://127.0.0.1:{port}"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Starts it."""
        self._process = spawn(self._program)

    async def ready(self) -> None:
        """Waits until it is healthy: level with the others in all it keeps."""
        await until(self._program.ready, f"{self.name} is healthy", START_S)

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait, 10)

    async def end(self) -> None:
        """Ends it in order, if it runs."""
        if self._process is not None:
            # In lame-duck mode, which its stop signal begins, it would wait for its clients to leave.
            await stop(self._process, self._program.stop_signal, 5.0)


class Cluster:
    """The servers by name."""

    def __init__(self, nodes: list[Node]) -> None:
        """`running_cluster` makes it."""
        self.nodes = {node.name: node for node in nodes}

    @property
    def url(self) -> str:
        """All of them."""
        return ",".join(node.url for node in self.nodes.values())


@contextlib.asynccontextmanager
async def running_cluster(home: Path) -> AsyncIterator[Cluster]:
    """A cluster that admits this home's keys for the context's time; `home` is made where it is missing."""
    place = Home(home)
    place.make()
    routes = [free_port() for _ in range(NODES)]
    nodes = [_node(place, number, routes) for number in range(NODES)]
    try:
        for node in nodes:
            node.begin()
        for node in nodes:
            await node.ready()
        yield Cluster(nodes)
    finally:
        await asyncio.gather(*(node.end() for node in nodes))


def _node(place: Home, number: int, routes: list[int]) -> Node:
    name = f"nats-{number}"
    folder = place.path / name
    store = folder / "data"
    store.mkdir(parents=True)
    port, monitoring = free_port(), free_port()
    server = _changed(
        (NATS / "nats.conf").read_text(),
        ("port: 4222", f"host: 127.0.0.1\nport: {port}"),
        ('http: "0.0.0.0:8222"', f'http: "127.0.0.1:{monitoring}"'),
        ('store_dir: "/data"', f'store_dir: "{store}"'),
    )
    changes = [
        (f"nats-route://nats-{each}.nats-headless:6222", f"nats-route://127.0.0.1:{route}")
        for each, route in enumerate(routes)
    ]
    cluster = _changed(CLUSTER.read_text(), ("  port: 6222", f"  host: 127.0.0.1\n  port: {routes[number]}"), *changes)
    (folder / "nats.conf").write_text(server)
    (folder / "accounts.conf").write_text((NATS / "accounts.conf").read_text())
    (folder / "cluster.conf").write_text(cluster)
    users = {f"SMSFLEET_NATS_USER_{role.upper()}": key for role, key in credentials.nats_public_keys(place).items()}

    async def ready() -> bool:
        return await http_ready(f"http://127.0.0.1:{monitoring}/healthz")

    program = Program(
        name=name,
        argv=[bundled("nats-server"), "--config", folder / "cluster.conf"],
        log=place.log(name),
        data=store,
        ready=ready,
        env={
            "PATH": "/usr/bin:/bin",
            "HOSTNAME": name,
            "SMSFLEET_NATS_STORE": str(STORE_BYTES),
            "SMSFLEET_NATS_STORE_ALL": str(STORE_BYTES * NODES),
            **users,
        },
        cwd=folder,
    )
    return Node(name, program, port)


def _changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, f"there is no {old!r} any more"
        text = text.replace(old, new)
    return text
