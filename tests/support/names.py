"""A name server of a test's own: it answers from a script, changes its mind, or says nothing."""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import cast

A, AAAA = 1, 28


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """`names`: the addresses of a name in turn, the last one for ever; a name with none is never answered."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    address: str = ""
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, kind, end = _question(data)
        self.asked[name] += kind == A
        turns = self.names.get(name)
        if turns == [] or self._transport is None:
            return
        addresses = turns[min(max(self.asked[name], 1), len(turns)) - 1] if turns else []
        fitting = [ip_address(each) for each in addresses if (":" in each) == (kind == AAAA)]
        flags = 0x8180 if turns else 0x8183
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(fitting), 0, 0)
        answers = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(each.packed)) + each.packed for each in fitting
        )
        self._transport.sendto(head + data[12:end] + answers, addr)


@contextlib.asynccontextmanager
async def name_server(**names: list[list[str]]) -> AsyncIterator[NameServer]:
    """Answers on loopback for the context's time; `_` in a name stands for a dot."""
    scripted = {name.replace("_", "."): turns for name, turns in names.items()}
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(scripted), local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")
    server.address = f"{host}:{port}"
    try:
        yield server
    finally:
        transport.close()


def _question(data: bytes) -> tuple[str, int, int]:
    """The name that is asked for, the kind of record, and where the question ends."""
    labels, at = [], 12
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode())
        at += 1 + length
    (kind,) = struct.unpack_from("!H", data, at + 1)
    return ".".join(labels).lower(), kind, at + 5
