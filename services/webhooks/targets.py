"""Keeps deliveries out of private networks: every address that is dialled passes the guard, however it was found."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shared.errors import Invalid
from shared.model.storable import is_storable

MAX_URL_CHARS: Final = 2048

DNS_DEADLINE_S: Final = 3.0
DNS_LOOKUPS: Final = 16
"""Lookups that run at once; more wait within their own deadline."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_FORBIDDEN: Final = tuple(
    ip_network(network)
    for network in (
        # What ipaddress calls global and yet is no receiver on the internet.
        "0.0.0.0/8",  # this network
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarking
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved
        "::/96",  # IPv4-compatible, unspecified, loopback
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # local NAT64
        "100::/64",  # discard
        "2001::/23",  # IETF protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)


class Blocked(OSError):
    """The address may not be called."""

    def __init__(self) -> None:
        """Says no address: the text reaches customers."""
        super().__init__("The address is in a network that may not be called.")


class Guard:
    """Decides which addresses may be dialled, and makes the sockets that dial them."""

    def __init__(self, allowed: Iterable[Network]) -> None:
        """`allowed` networks may be called besides the public internet."""
        self._allowed = tuple(allowed)

    def permits(self, address: Address) -> bool:
        """Whether this address may be dialled; an IPv4 address written as IPv6 counts as what it is."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if _within(address, self._allowed):
            return True
        return address.is_global and not _within(address, _FORBIDDEN)

    def socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """A socket for the address that is about to be dialled (aiohttp's socket factory). Raises Blocked."""
        family, kind, protocol, _, address = info
        if not self.permits(ip_address(str(address[0]).partition("%")[0])):
            raise Blocked
        return socket.socket(family, kind, protocol)

    def checked_url(self, raw: str) -> str:
        """The URL as it will be called. Raises Invalid (`invalid_url`) for one that cannot or may not be.

        A name is only looked up when it is called, and then each time.
        """
        if len(raw) > MAX_URL_CHARS or not raw.isprintable() or not is_storable(raw) or " " in raw:
            raise _invalid(f"it has at most {MAX_URL_CHARS} characters and no blanks")
        try:
            url = URL(raw)
            host, port = url.raw_host, url.port
        except ValueError as error:
            raise _invalid("it cannot be read") from error
        if url.scheme not in ("http", "https") or not host or not port:
            raise _invalid("it begins with http:// or https:// and names a host")
        if url.raw_user is not None or url.raw_password is not None:
            raise _invalid("user and password in it are not supported")
        self._check_host(host)
        return raw

    def _check_host(self, host: str) -> None:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            # What resolvers read as an IPv4 address in another notation: 127.1, 0x7f000001, 2130706433.
            last = host.rstrip(".").rpartition(".")[2].lower()
            if last.isdigit() or last.startswith("0x"):
                raise _invalid("its address is not written in the usual form") from None
            return
        if not self.permits(address):
            raise _invalid(
                "its address is in a network that may not be called (SMSFLEET_WEBHOOK_ALLOW_NETS lists exceptions)"
            )


class Resolver(AbstractResolver):
    """Looks names up on threads of its own, so that a slow name server delays no other work of the process."""

    def __init__(self) -> None:
        """No thread runs until a name is looked up."""
        self._places = asyncio.Semaphore(DNS_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError when there are none within 3 s."""
        try:
            async with asyncio.timeout(DNS_DEADLINE_S):
                await self._places.acquire()
                found = await self._look_up(host, port, family)
        except TimeoutError as error:
            raise OSError(socket.EAI_AGAIN, "The name server did not answer in time.") from error
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=each_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each_family, _, protocol, _, address in found
        ]

    def _look_up(self, host: str, port: int, family: socket.AddressFamily) -> "asyncio.Future[list[Any]]":
        """Frees its place when the lookup has really ended, also when nobody waits for it any more."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[list[Any]] = loop.create_future()

        def end(found: list[Any], error: OSError | None) -> None:
            self._places.release()
            if result.done():
                return
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(found)

        def work() -> None:
            found: list[Any] = []
            problem: OSError | None = None
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
            except OSError as error:
                problem = error
            except UnicodeError as error:
                problem = OSError(socket.EAI_NONAME, f"The name cannot be looked up: {error}")
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(end, found, problem)

        try:
            # A daemon: the end of the process does not wait for a name server.
            threading.Thread(target=work, name="dns", daemon=True).start()
        except RuntimeError as error:
            self._places.release()
            raise OSError(socket.EAI_AGAIN, "There are too many threads.") from error
        return result

    async def close(self) -> None:
        """Leaves running lookups to their end."""


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _invalid(why: str) -> Invalid:
    return Invalid(f"The webhook URL is not valid: {why}.", code="invalid_url")
