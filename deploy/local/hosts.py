"""By which names and addresses others reach this machine, so that its certificate can hold them."""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterator
from pathlib import Path

_ELSEWHERE = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
"""Addresses of documentation (RFC 5737, RFC 3849): the system says from where it would send there; nothing is sent."""
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\Z")


def machine_name() -> str:
    """Return this machine's name as a host name; `localhost` where it has none that can be one."""
    name = socket.gethostname().lower()
    return name if _NAME.match(name) else "localhost"


def own_names() -> list[str]:
    """Return addresses and names of this machine, the likeliest first, the loopback ones last."""
    name = machine_name()
    # What has no domain is found by multicast DNS (RFC 6762).
    names = [*_routed(), *_interfaces(), name, *([] if "." in name else [f"{name}.local"]), "localhost", "127.0.0.1"]
    return list(dict.fromkeys(names))


def is_host(text: str) -> bool:
    """Return whether it is a host name in lower case or an address, without port and brackets."""
    return is_address(text) or _NAME.match(text) is not None


def is_address(text: str) -> bool:
    """Return whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def bracketed(host: str) -> str:
    """Return a host as URLs write it."""
    return f"[{host}]" if ":" in host else host


def _routed() -> Iterator[str]:
    """Yield the addresses from which this machine reaches others."""
    for address, family in _ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            found = str(probe.getsockname()[0])
            if _is_reachable(found):
                yield found


def _interfaces() -> Iterator[str]:
    """Yield the IPv4 addresses of all interfaces, where the kernel tells them in a file (Linux)."""
    with contextlib.suppress(OSError):
        text = Path("/proc/net/fib_trie").read_text(errors="replace")
        yield from (each for each in re.findall(r"\|-- (\S+)\s+/32 host LOCAL", text) if _is_reachable(each))


def _is_reachable(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)
