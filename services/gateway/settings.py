"""What the gateway can be told from outside."""

from typing import Annotated

import msgspec

from shared.runtime.settings import ServiceSettings

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=365 * 86_400)]


class GatewaySettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of the gateway. Times are in seconds.

    `trusted_proxies` lists the addresses (comma-separated) whose X-Forwarded-* headers count. `auth_stale_s` is how
    long a key that was good goes on working while auth does not answer. `cors_origins` are the sites (comma-separated,
    `*`: all) whose pages may call the API from a browser. `compat_http_200_errors` gives errors status 200, and
    `compat_delete_all` lets a deletion that selects nothing delete everything, as the commercial service may have done.
    """

    bind: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    trusted_proxies: str = ""
    default_ttl_s: Seconds = 259_200
    auth_stale_s: Seconds = 86_400
    cors_origins: str = ""
    compat_http_200_errors: bool = False
    compat_delete_all: bool = False
