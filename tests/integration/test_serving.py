"""A server that takes no more connections breaks no request that has left its caller: refused or answered."""

import asyncio
from collections import Counter
from typing import Any

import uvloop

from shared.runtime.serving import Listener, serving
from tests.support import http
from tests.support.http import Broken

CALLERS = 32
REQUESTS = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answers a little later, as one does who asks others."""
    await asyncio.sleep(0.002)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _call_until_refused(url: str, ends: Counter[str]) -> None:
    while True:
        try:
            connection = await http.connect(url)
        except ConnectionRefusedError:
            return
        try:
            async with asyncio.timeout(5):
                ends[str((await connection.raw(REQUESTS)).status)] += 1
        except (Broken, OSError, TimeoutError) as problem:
            ends[type(problem).__name__] += 1
        finally:
            await connection.close()


async def _closed_under_load() -> Counter[str]:
    ends: Counter[str] = Counter()
    async with serving(app, "127.0.0.1", 0, backlog=2048) as listener:
        url = f"http://127.0.0.1:{listener.port}"
        callers = [asyncio.create_task(_call_until_refused(url, ends)) for _ in range(CALLERS)]
        while ends["204"] < CALLERS:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await listener.close()
        await asyncio.gather(*callers)
    return ends


def test_whoever_calls_meanwhile_is_answered_or_refused() -> None:
    for _ in range(10):
        # As services run: asyncio's own servers lose what they accept in the round in which they close.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ends = runner.run(_closed_under_load())
        assert set(ends) == {"204"}, ends


async def test_a_connection_that_brings_its_request_late_is_waited_for() -> None:
    async with serving(app, "127.0.0.1", 0) as listener:
        connection = await http.connect(f"http://127.0.0.1:{listener.port}")
        closing = asyncio.create_task(listener.close())
        await _refuses(listener)
        assert not closing.done()
        assert (await connection.raw(REQUESTS)).status == 204
        await closing
        await connection.close()


async def test_one_that_brings_nothing_is_not_waited_for_long() -> None:
    async with serving(app, "127.0.0.1", 0) as listener:
        connection = await http.connect(f"http://127.0.0.1:{listener.port}")
        async with asyncio.timeout(5):
            await listener.close()
            await listener.close()
        await connection.close()


async def _refuses(listener: Listener) -> None:
    while True:
        try:
            await (await http.connect(f"http://127.0.0.1:{listener.port}")).close()
        except ConnectionRefusedError:
            return
