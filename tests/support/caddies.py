"""Caddy before gateways: as `make up TLS=1` runs it before one, and as it is shipped for compose before several."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from deploy.local import caddy
from deploy.local.paths import PROJECT, Home
from deploy.local.ports import free_port
from deploy.local.processes import Program, spawn, stop
from deploy.local.programs import bundled
from deploy.local.settings import read_settings
from tests.support.waiting import until

SHIPPED = PROJECT / "deploy" / "caddy" / "Caddyfile"
FOUND_BY_NAME = "dynamic a gateway 8080 {\n\t\t\t\trefresh 5s\n\t\t\t}"
HEALTH_PORT = "8081"


class Front:
    """A running Caddy, as its clients see it."""

    def __init__(self, port: int, root: Path) -> None:
        """Listens on this port of `localhost`; `root`: the root certificate."""
        self.port = port
        self.url = f"https://localhost:{port}"
        self._root = root

    def context(self, *protocols: str) -> ssl.SSLContext:
        """Trusts its certificate and no other; offers these protocols."""
        context = ssl.create_default_context(cafile=self._root)
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    async def passes(self) -> bool:
        """Whether a gateway answers through it."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(3):
                reader, writer = await asyncio.open_connection("localhost", self.port, ssl=self.context())
                try:
                    writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    return (await reader.readline()).split()[1:2] == [b"200"]
                finally:
                    writer.transport.abort()
        return False


@contextlib.asynccontextmanager
async def local_caddy(folder: Path, gateway_port: int) -> AsyncIterator[Front]:
    """The one of `make up TLS=1` for the context's time."""
    port = free_port()
    environment = {
        "SMSFLEET_PORT": str(gateway_port),
        "SMSFLEET_TLS": "internal",
        "SMSFLEET_TLS_PORT": str(port),
        "SMSFLEET_TLS_CA_PORT": str(free_port()),
    }
    settings = read_settings(environment)
    assert settings.tls is not None
    home = Home(folder)
    home.make()
    front = Front(port, caddy.root_certificate(home))
    async with _running(caddy.install(home, settings, settings.tls), front):
        yield front


@contextlib.asynccontextmanager
async def shipped_caddy(folder: Path, port: int, gateways: Sequence[str]) -> AsyncIterator[Front]:
    """The Caddyfile of compose for the context's time, with gateways at these addresses instead of a name's."""
    text = SHIPPED.read_text()
    assert FOUND_BY_NAME in text
    assert HEALTH_PORT in text
    places = f"\tadmin off\n\thttp_port {free_port()}\n\thttps_port {port}\n\tstorage file_system {folder}\n"
    text = (
        text.replace(FOUND_BY_NAME, f"to {' '.join(gateways)}")
        .replace(HEALTH_PORT, str(free_port()))
        .replace("\tadmin off\n", places, 1)
    )
    configuration = folder / "Caddyfile"
    configuration.write_text(text)
    front = Front(port, folder / "pki" / "authorities" / "local" / "root.crt")
    program = Program(
        name="caddy",
        argv=[bundled("caddy"), "run", "--config", configuration, "--adapter", "caddyfile"],
        log=folder / "caddy.log",
        ready=front.passes,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "SMSFLEET_HOST": "localhost",
            "SMSFLEET_CERTIFICATE": "internal",
            "SMSFLEET_PUBLIC_URL": front.url,
        },
        cwd=folder,
        stop_after_s=5.0,
    )
    async with _running(program, front):
        yield front


@contextlib.asynccontextmanager
async def _running(program: Program, front: Front) -> AsyncIterator[None]:
    process = spawn(program)

    async def ready() -> bool:
        assert process.poll() is None, program.log.read_text()
        return await program.ready()

    try:
        await until(ready, f"{front.url} answers")
        yield
    finally:
        await stop(process, program.stop_signal, program.stop_after_s)
