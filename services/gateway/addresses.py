"""Finds the address that a request really comes from, behind the proxies that the settings name.

uvicorn's own layer takes what a header says for an address whatever it is, believes the left-most hop of all if every
proxy is trusted, and passes over a network that is written carelessly; here the first is ignored and the last refused.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

from services.gateway.asgi import Receive, Scope, Send
from shared.errors import Startup

MAX_HOPS: Final = 32
"""How many hops are looked at, from the right."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Wraps the app: puts what trusted proxies say of the client into the scope.

    That is the right-most address of X-Forwarded-For that is no trusted proxy, and the scheme of X-Forwarded-Proto.
    """

    def __init__(self, app: Any, trusted: Sequence[Network]) -> None:
        """`trusted`: the networks whose word counts."""
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection or request."""
        client = scope.get("client")
        if client is not None and (peer := _address(client[0])) is not None and self._is_trusted(peer):
            found = self._first_untrusted(peer, scope["headers"])
            if found != peer:
                scope["client"] = (str(found), 0)
            if scope["type"] == "http" and _came_by_https(scope["headers"]):
                scope["scheme"] = "https"
        await self._app(scope, receive, send)

    def _first_untrusted(self, peer: Address, headers: Sequence[tuple[bytes, bytes]]) -> Address:
        """From right to left; what is no address ends the way, since nobody trusted has written it."""
        told = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        for hop in reversed(told.rsplit(b",", MAX_HOPS)[-MAX_HOPS:]):
            address = _address(hop.decode("latin-1").strip())
            if address is None:
                break
            peer = address
            if not self._is_trusted(peer):
                break
        return peer

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def networks(setting: str) -> list[Network]:
    """The networks of a comma-separated setting; a single address is a network of one. Raises Startup."""
    try:
        return [ipaddress.ip_network(each.strip(), strict=False) for each in setting.split(",") if each.strip()]
    except ValueError as error:
        raise Startup(f"SMSFLEET_TRUSTED_PROXIES is not valid: {error}") from error


def _came_by_https(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """What the nearest proxy says, which stands last."""
    told = [value for name, value in headers if name == b"x-forwarded-proto"]
    return bool(told) and told[-1].rpartition(b",")[2].strip().lower() == b"https"


def _address(text: str) -> Address | None:
    """The address of `1.2.3.4`, `1.2.3.4:80`, `::1` or `[::1]:80`; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
