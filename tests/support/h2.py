"""As much of HTTP/2 (RFC 9113) as one request with a stream for its answer needs: what the app speaks through Caddy."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
STATUS_200 = 0x88
"""The field `:status: 200` of the static table (RFC 7541, appendix A), which comes first."""


@contextlib.asynccontextmanager
async def answer_of(host: str, port: int, context: ssl.SSLContext, path: str, **headers: str) -> AsyncIterator["Lines"]:
    """The answer to a GET, of status 200, while the connection is open. `context` must offer h2."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        fields = {":method": "GET", ":scheme": "https", ":authority": f"{host}:{port}", ":path": path, **headers}
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
        writer.write(PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        yield Lines(reader, writer)
    finally:
        writer.transport.abort()


class Lines:
    """The body of the answer, line by line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parts = self._chunks()
        self._first = b""

    async def begun(self) -> None:
        """Returns when the first of the body has arrived."""
        self._first = await anext(self._parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        *lines, rest = self._first.split(b"\n")
        for line in lines:
            yield line + b"\n"
        async for chunk in self._parts:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line + b"\n"

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            head = await self._reader.readexactly(9)
            kind, flags = head[3], head[4]
            payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
            assert kind not in (RST_STREAM, GOAWAY), payload
            if kind in (SETTINGS, PING) and not flags & ACK:
                self._writer.write(_frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == HEADERS:
                assert payload[0] == STATUS_200, payload
            elif kind == DATA:
                assert not flags & PADDED
                yield payload
                if flags & END_STREAM:
                    return


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _text(text: str) -> bytes:
    """A string of a header block as it stands, without Huffman's code (RFC 7541, section 5.2)."""
    encoded = text.encode()
    assert len(encoded) < 127
    return bytes((len(encoded),)) + encoded
