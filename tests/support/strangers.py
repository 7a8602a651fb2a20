"""Acts as another local user, to prove that such a one gets in nowhere. Needs root."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

STRANGER = 65534
"""The user `nobody`, whom no installation belongs to."""


def as_stranger(look: Callable[[], str]) -> str:
    """Return what `look` returns when it runs as a user without any rights here.

    It runs in a forked child: the interpreter itself may lie where that user cannot start it.
    """
    reading, writing = os.pipe()

    def in_child() -> None:
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        os.write(writing, look().encode())

    try:
        subprocess.run(["/bin/true"], preexec_fn=in_child, pass_fds=(writing,), timeout=30, check=True)
    finally:
        os.close(writing)
    with os.fdopen(reading) as told:
        return told.read()


def ask_unix(path: Path) -> str:
    """Return what connecting to a unix socket gives: `open`, or `refused:` with the error's name."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(str(path))
        except OSError as problem:
            return f"refused: {type(problem).__name__}"
        return "open"


def ask_tcp(port: int, request: bytes) -> str:
    """Return all that a server on loopback answers to `request` within a second of silence."""
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(request)
            client.settimeout(1)
            while part := client.recv(4096):
                answer += part
    except OSError:
        # Silence ends what it had to say.
        pass
    return answer.decode(errors="replace").replace("|", "/")
