"""What a webhook's numbers come to, in one word. Pure."""

from typing import Literal

from shared.contracts.rpc.webhooks import Endpoint

Health = Literal["paused", "disabled", "away", "failing", "well", "unused"]


def health(endpoint: Endpoint) -> Health:
    """`away`: its breaker is open, and only probes go out. `failing`: no success since a failure."""
    if endpoint.state != "enabled":
        return endpoint.state
    if endpoint.window == 0:
        return "away"
    if endpoint.failing_since is not None:
        return "failing"
    return "well" if endpoint.delivered else "unused"
