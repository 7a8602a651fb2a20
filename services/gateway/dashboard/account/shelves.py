"""Pages of keys: those that work apart from those that have ended, and the way through both."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, NamedTuple, TypeVar

from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.pages import link
from shared.contracts.rpc.listing import Standing

PAGE: Final = 50

Row = TypeVar("Row")

Turn = Callable[[Standing, str | None], Awaitable[tuple[list[Row], str | None]]]
"""Asks for the newest of a state, or for those before an id; gives them, and the id to go on before."""


class Part(NamedTuple, Generic[Row]):
    """Some of one state, the newest first, and the address of older ones."""

    rows: list[Row]
    older: str | None


class Shelf(NamedTuple, Generic[Row]):
    """The newest of both states; or further ones of one state, and in `newer` the way back."""

    living: Part[Row]
    ended: Part[Row]
    newer: str | None


async def shelf(request: VisitorRequest, path: str, turn: Turn[Row]) -> Shelf[Row]:
    """The page at this path that the address asks for: `before` an id, and of which `state`."""
    before = request.query_params.get("before", "")

    async def part(state: Standing) -> Part[Row]:
        rows, last = await turn(state, before or None)
        return Part(rows, link(path, state=state, before=last) if last else None)

    nothing: Part[Row] = Part([], None)
    if not before:
        living, ended = await asyncio.gather(part("active"), part("ended"))
        return Shelf(living, ended, newer=None)
    if request.query_params.get("state") == "ended":
        return Shelf(nothing, await part("ended"), newer=link(path))
    return Shelf(await part("active"), nothing, newer=link(path))
