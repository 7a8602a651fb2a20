"""What open pages are told on core NATS: that something of an account changed, never what."""

from typing import Literal

import msgspec

Kind = Literal["messages", "inbox", "phones"]


class Hints(msgspec.Struct, frozen=True, tag="live.hints.v1"):
    """These kinds of an account's things changed a moment ago; whoever shows them reads them again."""

    kinds: list[Kind]
