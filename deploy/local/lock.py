"""Lets one supervisor at a time run an installation; the kernel frees the lock however its holder ends."""

import fcntl
import os

from deploy.local.errors import LocalError
from deploy.local.paths import Home, explain


def take(home: Home) -> int | None:
    """Return a descriptor that holds the installation's lock until it is closed; None when another has it."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise LocalError(f"cannot write {home.lock}: {explain(problem)}") from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def is_taken(home: Home) -> bool:
    """Return whether a supervisor holds the installation's lock now."""
    if not home.lock.exists():
        return False
    descriptor = take(home)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
