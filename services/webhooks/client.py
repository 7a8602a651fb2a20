"""Posts one body to one URL and says what came of it, whatever the receiver does."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from services.webhooks.targets import Blocked, Guard, Resolver

MAX_RESPONSE_BYTES: Final = 16 * 1024

_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": "SMSFleet-Webhooks/1",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True)
class Deadlines:
    """How long one attempt may take, in seconds: in all, and until the connection stands."""

    total_s: float = 15.0
    connect_s: float = 5.0


DEADLINES: Final = Deadlines()


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to. `error` is None for a success.

    `unreachable`: there was no answer because there was no connection, or it broke before an answer.
    """

    status: int | None = None
    error: str | None = None
    unreachable: bool = False


class Client:
    """An HTTP client that follows nothing, believes nothing and reads little."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Made by `opened_client`."""
        self._session = session

    async def post(self, url: str, body: bytes) -> Outcome:
        """Posts the body within the deadlines. Never raises for what a receiver does."""
        try:
            # A proxy, a redirect or a cookie would let a receiver send us elsewhere than its owner said.
            async with self._session.post(URL(url), data=body, headers=_HEADERS, allow_redirects=False) as answer:
                await _read_a_little(answer)
                return _judged(answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _failed(error)


@contextlib.asynccontextmanager
async def opened_client(
    guard: Guard, deadlines: Deadlines = DEADLINES, *, connections: int = 64
) -> AsyncIterator[Client]:
    """A client for the context's time, with at most this many connections."""
    resolver = Resolver()
    connector = aiohttp.TCPConnector(
        limit=connections,
        resolver=resolver,
        # Each connection is checked when it is made: an answer of yesterday's name server is not.
        use_dns_cache=False,
        socket_factory=guard.socket,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=deadlines.total_s, connect=deadlines.connect_s, sock_connect=deadlines.connect_s
        ),
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield Client(session)


async def _read_a_little(answer: aiohttp.ClientResponse) -> None:
    """Empties a short answer, so that the connection can be used again, and drops the connection of a long one.

    The status has decided already: what happens to the rest of the answer changes nothing.
    """
    read = 0
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        while read <= MAX_RESPONSE_BYTES:
            chunk = await answer.content.read(MAX_RESPONSE_BYTES)
            if not chunk:
                return
            read += len(chunk)
    answer.close()


def _judged(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status)
    redirect = " (redirects are not followed)" if 300 <= status < 400 else ""
    return Outcome(status, f"It answered HTTP {status}{redirect}.")


def _failed(error: Exception) -> Outcome:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Blocked):
        return Outcome(error=str(error.os_error))
    if isinstance(error, aiohttp.ClientSSLError):
        return Outcome(error="TLS failed: its certificate or its protocol is not acceptable.")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Outcome(error="Its name cannot be looked up.", unreachable=True)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Outcome(error="It did not accept the connection in time.", unreachable=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        # asyncio's own text names the address, which is nothing for the customer to see.
        reason = os.strerror(error.os_error.errno) if error.os_error.errno else "no connection"
        return Outcome(error=f"It cannot be reached: {reason}.", unreachable=True)
    if isinstance(error, TimeoutError):
        return Outcome(error="It did not answer in time.")
    if isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)):
        return Outcome(error="It closed the connection without an answer.", unreachable=True)
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return Outcome(error="Its URL cannot be called.")
    return Outcome(error=f"Its answer is not HTTP ({type(error).__name__}).")
