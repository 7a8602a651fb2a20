"""Slows those who try one credential after the other, by the address that they come from.

What is known to be good is never asked of this memory, so an owner at the same address goes on working.
"""

import ipaddress
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 60.0
TRICKLE_S: Final = 1.0
"""How often an address that is held may try one more, so that a new credential of its owner comes through too."""

MAX_SOURCES: Final = 10_000
IPV6_SITE_BITS: Final = 64
"""Who has one IPv6 address has all of its /64."""


class _Source:
    __slots__ = ("missed", "next_at", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.missed: set[bytes] = set()
        self.next_at = float("-inf")


class Guesses:
    """Counts different unknown credentials by source; beyond the limit it lets one a second through."""

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        """`limit`: unknown credentials of a source in a minute, 0 for any number; `monotonic` gives seconds."""
        self._limit = limit
        self._monotonic = monotonic
        self._sources: dict[str, _Source] = {}

    def may_ask(self, address: str) -> bool:
        """Whether auth may be asked about one more credential from this address."""
        source = self._sources.get(_site(address))
        if source is None or len(source.missed) < self._limit:
            return True
        now = self._monotonic()
        if now < source.until and now < source.next_at:
            return False
        source.next_at = now + TRICKLE_S
        return True

    def missed(self, address: str, digest: bytes) -> None:
        """A credential from this address was nobody's."""
        if not self._limit:
            return
        now, site = self._monotonic(), _site(address)
        source = self._sources.get(site)
        if source is None or now >= source.until:
            self._sources.pop(site, None)
            while len(self._sources) >= MAX_SOURCES:
                del self._sources[next(iter(self._sources))]
            source = self._sources[site] = _Source(now + WINDOW_S)
        if len(source.missed) < self._limit:
            source.missed.add(digest[:8])
        else:
            # Whoever goes on guessing goes on waiting.
            source.until = now + WINDOW_S


def _site(address: str) -> str:
    """The address itself, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))
