"""The only public HTTP: wire dialects and phone connections. It changes things only by commands, reports and rpc."""

from typing import Final

VERSION: Final = "0.1.0"
"""What this gateway calls itself, in its documents and to people."""
