"""What auth can be told from outside."""

from typing import Annotated

import msgspec

from services.auth.signing import Schedule
from services.auth.tokens import checked_issuer
from shared.runtime.settings import ServiceSettings, base_url

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[int, msgspec.Meta(ge=60, le=86_400)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3_650)]


class AuthSettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of auth. `token_ttl_s`: how long an access token lives, in seconds; `signing_key_days`: how long a key
    signs. `public_url` is the tokens' issuer; without it, this machine's loopback address with the gateway's `port` is.
    """

    port: Port = 8080
    public_url: str | None = None
    token_ttl_s: Seconds = 3600
    signing_key_days: Days = 30

    def issuer(self) -> str:
        """How the world reaches the gateway, without trailing slash. Raises Startup where tokens would be readable."""
        return checked_issuer(base_url(self.public_url, self.port))

    def schedule(self) -> Schedule:
        """When signing keys change."""
        return Schedule(period_s=self.signing_key_days * 86_400.0, token_ttl_s=float(self.token_ttl_s))
