"""Caddy as docker compose runs it, from compose's own Caddyfile, with a name server that plays Docker's."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from deploy.local.paths import PROJECT
from deploy.local.ports import free_port
from deploy.local.processes import Program, spawn, stop
from deploy.local.programs import bundled
from tests.support.waiting import until

CADDYFILE = PROJECT / "deploy" / "caddy" / "Caddyfile"
SHORT_TTL_S = 1
_QUESTION_AT = 12
_IPV4 = 1


@dataclass(frozen=True)
class Edge:
    """Where programs and phones call, and the root certificate that they must trust."""

    port: int
    root: Path

    @property
    def url(self) -> str:
        """The public URL."""
        return f"https://localhost:{self.port}"


class _Names(asyncio.DatagramProtocol):
    """Answers every question for an address with all of them (RFC 1035, 4.1), and any other with none."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = data.index(b"\0", _QUESTION_AT) + 5
        (kind,) = struct.unpack("!H", data[end - 4 : end - 2])
        found = self._addresses if kind == _IPV4 else ()
        head = data[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, 0)
        answers = b"".join(
            struct.pack("!HHHIH", 0xC00C, _IPV4, 1, SHORT_TTL_S, 4) + socket.inet_aton(each) for each in found
        )
        self._transport.sendto(head + data[_QUESTION_AT:end] + answers, addr)


@contextlib.asynccontextmanager
async def running_edge(folder: Path, addresses: Sequence[str], gateway_port: int) -> AsyncIterator[Edge]:
    """A Caddy before the gateways at these addresses for the context's time; `folder` is for what it keeps."""
    loop = asyncio.get_running_loop()
    names, _ = await loop.create_datagram_endpoint(lambda: _Names(addresses), ("127.0.0.1", 0))
    name_server = "{}:{}".format(*names.get_extra_info("sockname"))
    port, plain_port, own_port = free_port(), free_port(), free_port()
    edge = Edge(port, folder / "caddy" / "pki" / "authorities" / "local" / "root.crt")
    folder.mkdir()  # noqa: ASYNC240
    configuration = folder / "Caddyfile"
    configuration.write_text(
        _changed(
            CADDYFILE.read_text(),
            ("dynamic a gateway 8080 {", f"dynamic a gateway {gateway_port} {{\n\t\t\t\tresolvers {name_server}"),
            ("\tadmin off\n", f"\tadmin off\n\thttp_port {plain_port}\n\thttps_port {port}\n"),
            ("http://:8081 {", f"http://:{own_port} {{"),
        )
    )

    async def answers() -> bool:
        return edge.root.exists() and await _listens(port)

    program = Program(
        name="caddy",
        argv=[bundled("caddy"), "run", "--config", configuration, "--adapter", "caddyfile"],
        log=folder / "caddy.log",
        ready=answers,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "SMSFLEET_HOST": "localhost",
            "SMSFLEET_CERTIFICATE": "internal",
            "SMSFLEET_PUBLIC_URL": edge.url,
        },
        cwd=folder,
        stop_after_s=10.0,
    )
    process = spawn(program)
    try:

        async def ready() -> bool:
            assert process.poll() is None, program.log.read_text()
            return await program.ready()

        await until(ready, "Caddy listens")
        yield edge
    finally:
        await stop(process, program.stop_signal, program.stop_after_s)
        names.close()


def _changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with each of these, which must stand there once, replaced."""
    for old, new in changes:
        assert text.count(old) == 1, f"compose's Caddyfile has no {old!r} any more"
        text = text.replace(old, new)
    return text


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
