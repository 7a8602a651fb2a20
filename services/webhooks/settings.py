"""What webhooks can be told from outside."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from shared.errors import Startup
from shared.runtime.settings import ServiceSettings

_LOOPBACK = "127.0.0.0/8, ::1/128"


class WebhooksSettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of webhooks. `webhook_allow_nets`: networks that receivers may be in besides the public internet.

    `webhook_park_days`: how long undelivered events wait for an endpoint that is paused, disabled or away.
    """

    webhook_allow_nets: str | None = None
    webhook_park_days: int = 30
    retention_events_days: int = 30
    retention_attempts_days: int = 30

    def allowed_networks(self) -> list[IPv4Network | IPv6Network]:
        """The networks of SMSFLEET_WEBHOOK_ALLOW_NETS, by default loopback on a single machine and none elsewhere.

        Raises Startup naming the entry that is no network.
        """
        given = self.webhook_allow_nets
        if given is None:
            given = _LOOPBACK if self.mode == "local" else ""
        networks = []
        for entry in filter(None, (part.strip() for part in given.split(","))):
            try:
                networks.append(ip_network(entry))
            except ValueError as error:
                raise Startup(f"SMSFLEET_WEBHOOK_ALLOW_NETS: {error}; write networks such as 10.0.0.0/8") from error
        return networks
