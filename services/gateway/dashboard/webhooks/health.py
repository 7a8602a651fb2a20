"""What a webhook's numbers come to, in one word, and what went wrong with it. Pure."""

from typing import Final, Literal, NamedTuple

from shared.contracts.rpc.webhooks import Endpoint

Health = Literal["paused", "disabled", "away", "failing", "well", "unused"]


_TELLING: Final = frozenset(("status", "connect", "tls", "redirect", "blocked"))
"""Classes of which the machine knows more than the class says."""


class Failure(NamedTuple):
    """`kind`: the class of failure (Attempt.error), empty for one that an older version wrote down without it.

    `detail`: what the machine said, where the class does not say it all.
    """

    kind: str
    detail: str


def failure(last_error: str) -> Failure:
    """What an endpoint's or a delivery's `last_error` says."""
    kind, colon, detail = last_error.partition(": ")
    if kind.isidentifier() and (colon or kind.islower()):
        return Failure(kind, detail if kind in _TELLING else "")
    return Failure("", last_error)


def health(endpoint: Endpoint) -> Health:
    """`away`: its breaker is open, and only probes go out. `failing`: no success since a failure."""
    if endpoint.state != "enabled":
        return endpoint.state
    if endpoint.window == 0:
        return "away"
    if endpoint.failing_since is not None:
        return "failing"
    return "well" if endpoint.delivered else "unused"
