"""Keeps deliveries out of private networks: every address that is dialled passes the guard, however it was found."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from yarl import URL

from shared.errors import Invalid
from shared.model.storable import is_storable

MAX_URL_CHARS: Final = 2048

REFUSED_PORTS: Final = frozenset(
    {
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
        110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
        531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190,
        5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    }
)  # fmt: skip
"""Ports of other protocols that no browser posts to either (Fetch standard, port blocking)."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_LOOPBACK: Final = ip_address("127.0.0.1")

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
        # Of IPv6 only 2000::/3 is the internet. Outside are loopback, link-local, unique local and multicast addresses,
        # and IPv4 in most of its disguises: compatible, translated, NAT64.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # IETF protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
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
        if port in REFUSED_PORTS:
            raise _invalid(f"port {port} belongs to another protocol")
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
            if last != "localhost":
                return
            # RFC 6761, 6.3: this name and all below it are loopback, whatever a name server says.
            address = _LOOPBACK
        if not self.permits(address):
            raise _invalid(
                "its address is in a network that may not be called (SMSFLEET_WEBHOOK_ALLOW_NETS lists exceptions)"
            )


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _invalid(why: str) -> Invalid:
    return Invalid(f"The webhook URL is not valid: {why}.", code="invalid_url")
