"""Small round trips that prove a server answers, without loading a client library."""

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import urlsplit


async def http_get(url: str, timeout_s: float = 2.0) -> tuple[int, bytes]:
    """Return status and body of an http URL; raise OSError when no answer comes in time."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    raw = await _exchange(parts.hostname or "127.0.0.1", parts.port or 80, request, timeout_s)
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionError(f"{url} did not answer in HTTP")
    return int(words[1]), body


async def http_ready(url: str) -> bool:
    """Return whether a GET of `url` is answered with 200."""
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        return (await http_get(url))[0] == 200
    return False


async def health_checks(url: str) -> Any:
    """Return the `checks` that a health route gives, or None when it gives none."""
    with contextlib.suppress(OSError, asyncio.TimeoutError, ValueError):
        _, body = await http_get(url)
        # The body may come in chunks; its JSON object is all that matters.
        return json.loads(body[body.index(b"{") : body.rindex(b"}") + 1]).get("checks")
    return None


async def valkey_ready(host: str, port: int, password: str) -> bool:
    """Return whether a Valkey server accepts `password` and answers a ping."""
    command = f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode()
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        return b"+PONG" in await _exchange(host, port, command, 2.0)
    return False


async def _exchange(host: str, port: int, request: bytes, timeout_s: float) -> bytes:
    async def talk() -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    try:
        return await asyncio.wait_for(talk(), timeout_s)
    except TimeoutError as problem:
        raise TimeoutError(f"no answer from {host} port {port} within {timeout_s:g} s") from problem
