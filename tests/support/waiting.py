"""Waits for conditions with a deadline, so that no test sleeps and none hangs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

POLL_S = 0.05


async def until(condition: Callable[[], Awaitable[Found | None]], what: str, within_s: float = 20.0) -> Found:
    """Asks until the answer is true and returns it; fails with `what` when the time is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not (found := await condition()):
        assert loop.time() < deadline, f"after {within_s:g} s still not so: {what}"
        await asyncio.sleep(POLL_S)
    return found
