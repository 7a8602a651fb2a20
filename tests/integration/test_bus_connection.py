"""A NATS that refuses us leaves nothing open behind."""

import asyncio
import gc

import nats.errors
import pytest

from shared.bus.connection import opened


async def test_a_refused_connection_is_closed_at_once(recwarn: pytest.WarningsRecorder) -> None:
    ended = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(10):
        with pytest.raises(nats.errors.Error, match="empty response"):
            await opened(f"nats://127.0.0.1:{port}", allow_reconnect=False)
        await ended.wait()
    gc.collect()
    assert list(recwarn) == []
