"""The outbox: pages, bounds and repeats."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from agent.journal import Numbered
from agent.outbox import MAX_ITEMS_BYTES, MAX_OUTSTANDING, Outbox
from shared.contracts import phone
from tests.support.fake_gateway import until


class Shelf:
    """A journal of texts in memory."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.items = [
            Numbered(n, phone.ReceivedText(id=str(n), sim=1, number="+15551234567", text=text, at_ms=0))
            for n, text in enumerate(texts, 1)
        ]
        self.acked: list[int] = []
        self.sent: list[phone.Received] = []

    async def load(self, after: int, limit: int) -> list[Numbered]:
        return [item for item in self.items if item.n > after][:limit]

    async def send(self, frame: phone.Frame) -> None:
        assert isinstance(frame, phone.Received)
        self.sent.append(frame)

    def counts(self) -> list[int]:
        return [len(frame.texts) for frame in self.sent]


def wrap(seq: int, items: list[Numbered]) -> phone.Frame:
    return phone.Received(seq=seq, texts=[n.item for n in items if isinstance(n.item, phone.ReceivedText)])


@asynccontextmanager
async def running(shelf: Shelf, ack_s: float = 60) -> AsyncIterator[Outbox]:
    seqs = iter(range(1, 1000))
    outbox = Outbox(
        load=shelf.load,
        wrap=wrap,
        acked=shelf.acked.extend,
        next_seq=lambda: next(seqs),
        send=shelf.send,
        ack_s=ack_s,
    )
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_frames_are_full_and_only_some_are_outstanding() -> None:
    shelf = Shelf(["x"] * (phone.MAX_ITEMS * (MAX_OUTSTANDING + 1) + 1))
    async with running(shelf) as outbox:
        await until(lambda: len(shelf.sent) == MAX_OUTSTANDING)
        assert outbox.ack(shelf.sent[1].seq)
        await until(lambda: len(shelf.sent) == MAX_OUTSTANDING + 1)
        assert shelf.acked == list(range(phone.MAX_ITEMS + 1, 2 * phone.MAX_ITEMS + 1))
        assert shelf.counts() == [phone.MAX_ITEMS] * (MAX_OUTSTANDING + 1)
        assert outbox.ack(shelf.sent[0].seq)
        await until(lambda: shelf.counts()[-1] == 1)


async def test_a_frame_stays_below_its_size() -> None:
    shelf = Shelf(["y" * (MAX_ITEMS_BYTES // 2)] * 3)
    async with running(shelf):
        await until(lambda: len(shelf.sent) == 3)
        assert shelf.counts() == [1, 1, 1]


async def test_a_frame_without_ack_is_sent_again_as_it_was() -> None:
    shelf = Shelf(["x"])
    async with running(shelf, ack_s=0.02) as outbox:
        await until(lambda: len(shelf.sent) >= 3)
        assert shelf.sent[0] == shelf.sent[1] == shelf.sent[2]
        assert outbox.ack(shelf.sent[0].seq)
        assert not outbox.ack(shelf.sent[0].seq)
        assert shelf.acked == [1]


async def test_an_ack_of_something_else_changes_nothing() -> None:
    shelf = Shelf(["x"])
    async with running(shelf) as outbox:
        await until(lambda: shelf.sent)
        assert not outbox.ack(999)
        assert shelf.acked == []
