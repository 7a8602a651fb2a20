"""Calls and the synchronisation of WhatsApp: the documented shapes around what no phone reports yet (contract 2.8)."""

import msgspec

from services.gateway.dialects.smsmobile.endpoint import Answer, Call
from services.gateway.dialects.smsmobile.fields import page

_encode = msgspec.json.Encoder().encode


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /call/.../list/: no calls."""

    success: bool = True
    offset: int
    limit: int
    count: int = 0
    data: list[None] = []


class SynchronisationResult(msgspec.Struct, frozen=True, kw_only=True):
    """`result` of a synchronisation; its fields are texts."""

    error: str = "0"
    status: str = "0"


class Synchronisation(msgspec.Struct, frozen=True):
    """The answer of /getwa/synchronisation/."""

    result: SynchronisationResult


async def no_calls(call: Call) -> Answer:
    """An empty page. Raises Invalid."""
    limit, offset = page(call.parameters)
    return Answer(_encode(Calls(offset=offset, limit=limit)))


async def no_synchronisation(_: Call) -> Answer:
    """Done at once: there is nothing to fetch."""
    return Answer(_encode(Synchronisation(SynchronisationResult())))
