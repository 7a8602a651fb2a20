"""When a stream wakes its phone, keeps its connection busy, and gives it up; its clock is turned by hand."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gateway.phones.farewell import Farewell
from services.gateway.phones.smsgate.streams import KEEPALIVE_S, SILENT_S, Stream, Streams
from shared.errors import Unavailable
from tests.support.fake_gateway import until

WAKE = b"event: MessageEnqueued\ndata: null\n\n"


class Line:
    """The phone's end: what was written to it, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.written: list[bytes] = []
        self.ended = False
        self.gone = asyncio.Event()
        self.stream = Stream(7, "d" * 21, 1, lambda: self.now)

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.written.append(message.get("body", b""))
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def at(self, seconds: float) -> None:
        """So many seconds later, and the stream has looked at the clock."""
        self.now += seconds
        self.stream._bell.ring()
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def wakes(self) -> int:
        return self.written.count(WAKE)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    running = asyncio.create_task(made.stream.run(made.receive, made.send))
    await made.at(0)
    yield made
    made.gone.set()
    await asyncio.wait_for(running, 5)


async def test_the_first_wake_is_at_once_and_the_next_a_second_later(line: Line) -> None:
    line.stream.wake()
    await line.at(0)
    assert line.wakes == 1
    for _ in range(5):
        line.stream.wake()
        await line.at(0.1)
    assert line.wakes == 1
    await line.at(0.6)
    assert line.wakes == 2


async def test_no_wake_while_a_list_is_under_way(line: Line) -> None:
    line.stream.list_begins()
    line.stream.wake()
    await line.at(4)
    assert line.wakes == 0
    line.stream.list_ends(["a", "b"])
    line.stream.spoke_of("b")
    await line.at(0.1)
    assert line.wakes == 0
    await line.at(0.3)
    assert line.wakes == 1


async def test_a_list_that_nobody_has_spoken_of_is_given_time_to_arrive(line: Line) -> None:
    line.stream.list_begins()
    line.stream.list_ends(["a", "b"])
    line.stream.wake()
    await line.at(1)
    line.stream.spoke_of("of the list before")
    await line.at(3.9)
    assert line.wakes == 0
    await line.at(0.2)
    assert line.wakes == 1
    line.stream.list_begins()
    line.stream.list_ends([])
    line.stream.list_begins()
    line.stream.list_ends([])
    line.stream.wake()
    await line.at(1)
    assert line.wakes == 2, "an empty list has nothing to lose"


async def test_wakes_that_are_for_nothing_grow_rare_and_are_forgiven(line: Line) -> None:
    moments = []
    for _ in range(400):
        line.stream.wake()
        before = line.wakes
        await line.at(0.1)
        if line.wakes > before:
            moments.append(line.now)
            line.stream.list_begins()
            line.stream.list_ends([])
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert [round(gap) for gap in gaps[:4]] == [2, 4, 8, 15]
    await line.at(46)
    line.stream.wake()
    await line.at(0)
    line.stream.list_begins()
    line.stream.list_ends(["a"])
    line.stream.spoke_of("a")
    line.stream.wake()
    before = line.wakes
    await line.at(1.1)
    assert line.wakes == before + 1


async def test_an_idle_connection_is_kept_busy(line: Line) -> None:
    for _ in range(3):
        await line.at(KEEPALIVE_S)
    assert line.written.count(b":keepalive\n\n") == 4


async def test_a_phone_that_hears_no_wake_is_given_up(line: Line) -> None:
    line.stream.wake()
    await line.at(0)
    await line.at(59)
    assert not line.ended
    await line.at(1)
    assert line.ended


async def test_a_phone_that_never_asks_is_given_up(line: Line) -> None:
    await line.at(SILENT_S - 1)
    line.stream.list_begins()
    line.stream.list_ends([])
    await line.at(2)
    assert not line.ended
    await line.at(SILENT_S)
    assert line.ended


async def test_cancels_are_told_at_once(line: Line) -> None:
    line.stream.list_begins()
    for n in range(150):
        line.stream.ask_back(f"a{n}")
    await line.at(0)
    told = [each for each in line.written if each.startswith(b"event: MessageCancelled")]
    assert told[0] == b'event: MessageCancelled\ndata: {"messageId":"a0"}\n\n'
    assert len(told) == 100


async def test_changed_settings_are_told_once_and_at_once(line: Line) -> None:
    line.stream.list_begins()
    line.stream.outdate()
    line.stream.outdate()
    await line.at(0)
    await line.at(1)
    assert line.written.count(b"event: SettingsUpdated\ndata: null\n\n") == 1


async def test_streams_are_drained_and_none_is_taken_meanwhile() -> None:
    streams = Streams()
    lines = [Line() for _ in range(4)]
    async with contextlib.AsyncExitStack() as stack:
        for n, each in enumerate(lines):
            each.stream.device = str(n)
            stack.enter_context(streams.held(each.stream))
            running = asyncio.create_task(each.stream.run(each.receive, each.send))
            stack.push_async_callback(asyncio.wait_for, running, 5)
        draining = asyncio.create_task(streams.drain(1))
        await until(lambda: lines[0].ended)
        assert not lines[3].ended
        with pytest.raises(Unavailable):
            streams.check_open()
        await until(lambda: all(each.ended for each in lines))
        await draining
    assert len(streams) == 0


async def test_a_later_stream_is_not_forgotten_with_the_earlier_one() -> None:
    streams = Streams()
    older, newer = Line().stream, Line().stream
    with streams.held(older):
        held = streams.held(newer)
        held.__enter__()
    assert streams.of(newer.device) is newer
    held.__exit__(None, None, None)
    assert streams.of(newer.device) is None
    older.end(Farewell("replaced", "x"))
