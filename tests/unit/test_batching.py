"""The batcher: load makes batches, a lone item waits for nothing, an error meets only its own batch."""

import asyncio

import pytest

from shared.bus.batching import Batcher, at_most
from shared.contracts.envelope import MAX_BYTES, MAX_ITEMS, decode_envelope, encode_envelope, split
from shared.errors import Unavailable


class Slow:
    """A call that waits until it is let go, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.started = asyncio.Event()

    async def call(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.started.set()
        await self.go.wait()
        if 13 in items:
            raise ValueError("thirteen")
        return [item * 2 for item in items]


async def test_what_arrives_during_a_call_goes_into_the_next_one() -> None:
    slow = Slow()
    batcher = Batcher(slow.call, fits=at_most(10))
    runner = asyncio.create_task(batcher.run())
    first = asyncio.create_task(batcher.add(0, 5))
    await slow.started.wait()
    rest = [asyncio.create_task(batcher.add(item, 5)) for item in range(1, 16)]
    await asyncio.sleep(0)
    slow.go.set()
    results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert slow.batches == [[0], list(range(1, 11)), list(range(11, 16))]
    assert results[:11] == [item * 2 for item in range(11)]
    assert all(isinstance(result, ValueError) for result in results[11:])
    runner.cancel()


async def test_a_full_queue_refuses_and_a_late_item_is_never_sent() -> None:
    slow = Slow()
    batcher = Batcher(slow.call, fits=at_most(10), bound=2)
    runner = asyncio.create_task(batcher.run())
    first = asyncio.create_task(batcher.add(0, 5))
    await slow.started.wait()
    late = asyncio.create_task(batcher.add(1, 0.01))
    patient = asyncio.create_task(batcher.add(2, 5))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await batcher.add(3, 5)
    with pytest.raises(Unavailable):
        await late
    slow.go.set()
    assert tuple(await asyncio.gather(first, patient)) == (0, 4)
    assert slow.batches == [[0], [2]]
    runner.cancel()


async def test_stopping_refuses_what_waits() -> None:
    slow = Slow()
    batcher = Batcher(slow.call, fits=at_most(1))
    runner = asyncio.create_task(batcher.run())
    waiting = [asyncio.create_task(batcher.add(item, 5)) for item in range(3)]
    await slow.started.wait()
    runner.cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)


def test_envelopes_hold_at_most_256_items_or_256_kib() -> None:
    assert split([10] * 1000) == MAX_ITEMS
    assert split([MAX_BYTES // 4] * 9) == 4
    assert split([MAX_BYTES * 2, 1]) == 1, "one larger item travels alone"
    assert decode_envelope(encode_envelope([b"\xc0", b"\x01"])) == [b"\xc0", b"\x01"]
