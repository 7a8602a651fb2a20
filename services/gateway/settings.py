"""What the gateway can be told from outside."""

from typing import Annotated

import msgspec

from shared.runtime.settings import ServiceSettings, base_url

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=365 * 86_400)]
Drain = Annotated[int, msgspec.Meta(ge=0, le=60)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class GatewaySettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of the gateway. Times are in seconds.

    `ca_url`: where phones get the root certificate of the installation's own authority; empty where it has none.
    `trusted_proxies` lists the networks (comma-separated) whose X-Forwarded-For counts. `auth_stale_s` is how long a
    key that was good goes on working while auth does not answer. `token_rate_per_client` and `token_rate_per_address`
    are requests a minute to the OAuth2 endpoints, `guesses_per_minute` unknown credentials of one address; 0 for any
    number. `cors_origins` are the sites (comma-separated, `*`: all) whose pages may call the API from a browser.
    A gateway that stops says that it is not ready, goes on for `leave_s` seconds so that proxies hear it, takes no more
    connections, and lets go of its phones over `drain_s` seconds.
    `compat_http_200_errors` gives errors status 200, and `compat_delete_all` lets a deletion that selects nothing
    delete everything, as the commercial service may have done.
    """

    bind: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    ca_url: str = ""
    trusted_proxies: str = ""
    default_ttl_s: Seconds = 259_200
    auth_stale_s: Seconds = 86_400
    token_rate_per_client: Count = 60
    token_rate_per_address: Count = 300
    guesses_per_minute: Count = 20
    cors_origins: str = ""
    leave_s: Drain = 0
    drain_s: Drain = 5
    compat_http_200_errors: bool = False
    compat_delete_all: bool = False

    @property
    def base_url(self) -> str:
        """How the world reaches the gateway, without a slash at its end."""
        return base_url(self.public_url, self.port)
