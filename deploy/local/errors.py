"""The one error of a local installation, so that a user sees one clear line and never a traceback."""

from shared.errors import Startup


class LocalError(Startup):
    """Something stands in the way of this installation; the text is one line: what, and how to mend it."""


class NotRunning(LocalError):
    """There is no running installation to act on."""

    code = "not_running"


class PortTaken(LocalError):
    """Another process was quicker to listen on a port that was free when it was chosen: choose again."""
