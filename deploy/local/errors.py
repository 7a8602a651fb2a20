"""The one error of a local installation, so that a user sees one clear line and never a traceback."""

from shared.errors import Startup


class LocalError(Startup):
    """Something stands in the way of this installation; the text is one line: what it is, and how to mend it."""
