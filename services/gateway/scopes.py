"""What a caller can be allowed to do, and what a route can ask of its caller. Each route declares its need."""

from typing import Final

SCOPES: Final = (
    "sms:send",
    "sms:read",
    "sms:delete",
    "devices:read",
    "devices:manage",
    "webhooks:manage",
    "account:manage",
)
"""Everything that an API key or a token can allow."""

AUTHENTICATED: Final = "authenticated"
"""A route's need: any valid credential."""

DEVICE: Final = "device"
"""A route's need: what the phone protocol itself asks of a phone."""

PUBLIC: Final = "public"
"""A route's need: nothing, or what its own protocol asks for, as the token endpoint does."""

NEEDS: Final = frozenset((*SCOPES, AUTHENTICATED, DEVICE, PUBLIC))
"""All that a route may declare."""

OPT: Final = "needs"
"""Where a Litestar route keeps what it declares."""
