"""How long a service keeps what is its own; whoever answers is there."""

import msgspec


class AskRetention(msgspec.Struct, frozen=True, tag="retention.v1"):
    """For how many days does this service keep what?"""


class Retention(msgspec.Struct, frozen=True, tag="retention"):
    """Days by what is kept: `sent` and `received` messages, `events`, `attempts` at deliveries that ended."""

    days: dict[str, int]
