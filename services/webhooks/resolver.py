"""Looks receivers' names up without a thread of ours, so that a slow name server delays no other work."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

import aiodns
from aiohttp.abc import AbstractResolver, ResolveResult

from services.webhooks.phases import mark
from services.webhooks.targets import Blocked, Guard

TRY_S: Final = 1.0
"""How long a name server has for the first try."""

TRIES: Final = 2


class Resolver(AbstractResolver):
    """Answers with the addresses of a name that may be dialled."""

    def __init__(self, guard: Guard, deadline_s: float, nameservers: Sequence[str] | None = None) -> None:
        """`nameservers` (`address` or `address:port`) are used instead of the machine's."""
        self._guard = guard
        self._deadline_s = deadline_s
        self._names = aiodns.DNSResolver(nameservers, timeout=TRY_S, tries=TRIES)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses that may be dialled. Raises OSError when the name has none, Blocked when none may be."""
        mark("lookup")
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await self._names.getaddrinfo(host, family, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise OSError(socket.EAI_AGAIN, "The name server did not answer in time.") from error
        except (aiodns.error.DNSError, UnicodeError) as error:
            raise OSError(socket.EAI_NONAME, "The name is not known.") from error
        finally:
            mark("found")
        addresses = [(node.family, node.addr[0].decode()) for node in found.nodes]
        permitted = [each for each in addresses if self._guard.permits(ip_address(each[1]))]
        if addresses and not permitted:
            raise Blocked
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=of_family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for of_family, address in permitted
        ]

    async def close(self) -> None:
        """Ends the lookups that nobody waits for any more."""
        await self._names.close()
