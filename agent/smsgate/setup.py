"""What makes one phone differ from another before its server told it anything."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What the person with the phone chose, and what the phone is."""

    url: str
    """The base URL as typed, with or without a slash at its end."""

    private_token: str | None = field(default=None, repr=False)
    name: str = "Simulated/phone"
    push_token: str | None = field(default=None, repr=False)
    """Set on a phone with Google's services: without SSE_ONLY it then listens to no channel and polls."""

    cleartext: bool = False
    """Whether this is the app's other build, which may use http."""

    tls: ssl.SSLContext | None = None
    """Which certificates are trusted; None for the machine's."""

    report_lag_s: Callable[[], float] = lambda: 0.0
    """Seconds between reading a message's state and sending it, so that reports overtake each other."""
