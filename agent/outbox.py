"""Sends what the journal holds for the gateway, and again until it is acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from agent.journal import Numbered
from shared.contracts.phone import MAX_ITEMS, Frame

MAX_OUTSTANDING: Final = 4
"""Frames of one kind that may be unacknowledged at a time."""

MAX_ITEMS_BYTES: Final = 512 * 1024
"""Longest items of one frame together, in bytes; well below what either side accepts."""


class _Outstanding(NamedTuple):
    frame: Frame
    numbers: list[int]
    repeat_at: float


class Outbox:
    """The frames of one kind in one session: `report` or `received`."""

    def __init__(
        self,
        *,
        load: Callable[[int, int], Awaitable[list[Numbered]]],
        wrap: Callable[[int, list[Numbered]], Frame],
        acked: Callable[[Sequence[int]], object],
        next_seq: Callable[[], int],
        send: Callable[[Frame], Awaitable[None]],
        ack_s: float,
    ) -> None:
        """`load(after, limit)` reads the journal, `wrap(seq, items)` makes a frame, `acked` tells it."""
        self._load = load
        self._wrap = wrap
        self._acked = acked
        self._next_seq = next_seq
        self._send = send
        self._ack_s = ack_s
        self._outstanding: dict[int, _Outstanding] = {}
        self._after = 0
        self._bell = asyncio.Event()
        self._bell.set()

    def ring(self) -> None:
        """The journal holds something new."""
        self._bell.set()

    def ack(self, seq: int) -> bool:
        """The gateway has frame `seq` on disk. False if no such frame of this kind is outstanding."""
        outstanding = self._outstanding.pop(seq, None)
        if outstanding is None:
            return False
        self._bell.set()
        self._acked(outstanding.numbers)
        return True

    async def run(self) -> None:
        """Sends until cancelled; a frame without `ack` is sent again as it was."""
        clock = asyncio.get_running_loop().time
        while True:
            self._bell.clear()
            await self._repeat(clock())
            while len(self._outstanding) < MAX_OUTSTANDING:
                items = _fitting(await self._load(self._after, MAX_ITEMS))
                if not items:
                    break
                numbers = [item.n for item in items]
                self._after = numbers[-1]
                seq = self._next_seq()
                frame = self._wrap(seq, items)
                self._outstanding[seq] = _Outstanding(frame, numbers, clock() + self._ack_s)
                await self._send(frame)
            due = min((entry.repeat_at for entry in self._outstanding.values()), default=None)
            try:
                async with asyncio.timeout_at(due):
                    await self._bell.wait()
            except TimeoutError:
                continue

    async def _repeat(self, now: float) -> None:
        for seq, entry in list(self._outstanding.items()):
            if seq in self._outstanding and now >= entry.repeat_at:
                self._outstanding[seq] = entry._replace(repeat_at=now + self._ack_s)
                await self._send(entry.frame)


def _fitting(items: list[Numbered]) -> list[Numbered]:
    """As many of the first items as one frame takes, at least one."""
    size = 0
    for index, numbered in enumerate(items):
        size += len(msgspec.json.encode(numbered.item)) + 1
        if size > MAX_ITEMS_BYTES and index:
            return items[:index]
    return items
