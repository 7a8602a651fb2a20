"""Room for as many connections as the machine allows: each phone and each caller is an open file."""

import contextlib
import resource


def raise_limit() -> int:
    """Raises this process's soft limit of open files to the hard one; returns the limit that now holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems have no hard limit and all the same refuse what is more than the kernel's own.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft
