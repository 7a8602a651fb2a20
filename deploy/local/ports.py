"""Free ports on the loopback interface for servers that only this machine's processes talk to."""

import errno
import random
import socket

from deploy.local.errors import LocalError

# Below the ranges from which Linux and macOS take the ports of outgoing connections: a port that was free
# stays free while its server starts again.
_RANGE = range(20_000, 30_000)
_random = random.SystemRandom()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of `host` that nothing listened on a moment ago; raise LocalError when there is none."""
    for _ in range(200):
        port = _random.choice(_RANGE)
        if _bind_error(host, port) is None:
            return port
    raise LocalError(f"no free port on {host} between {_RANGE.start} and {_RANGE.stop}: close what uses them")


def require_free(host: str, port: int, setting: str = "SMSFLEET_PORT") -> None:
    """Raise LocalError, naming the setting to change, unless a server could listen there now."""
    problem = _bind_error(host, port)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        raise LocalError(f"port {port} on {host} is in use: stop what uses it, or set {setting} to another one")
    if problem.errno in (errno.EACCES, errno.EPERM):
        raise LocalError(f"this user may not use port {port}: set {setting} to one above 1023")
    raise LocalError(f"cannot listen on {host} port {port} ({problem.strerror}): check SMSFLEET_BIND")


def _bind_error(host: str, port: int) -> OSError | None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as problem:
        return problem
    return None
