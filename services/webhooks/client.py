"""Posts one body to one URL and says what came of it, whatever the receiver does."""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from yarl import URL

from services.webhooks.phases import Phases, mark
from services.webhooks.resolver import Resolver
from services.webhooks.targets import Blocked, Guard
from services.webhooks.wire import Connector, TlsContext

MAX_RESPONSE_BYTES: Final = 16 * 1024
MAX_KEPT_HEADERS: Final = 64
MAX_KEPT_CHARS: Final = 1024

_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": "SMSFleet/0.1.0",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
_FRAMING: Final = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)


@dataclass(frozen=True)
class Deadlines:
    """How long one attempt may take, in seconds.

    In all; until the connection stands; for the lookup within that; for the rest of an answer whose status is there.
    """

    total_s: float = 15.0
    connect_s: float = 5.0
    lookup_s: float = 3.0
    rest_s: float = 2.0


DEADLINES: Final = Deadlines()


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to.

    `error` is None for a success, else its class: dns, connect, tls, timeout, reset, blocked, redirect, bad_response,
    gone (410) or status (every other one that is not 2xx); `detail` says it in words that its customer may read. The
    phases are milliseconds of their own, None where there was none: a connection that is used again has neither lookup
    nor dial. `first_byte_ms` runs from the connection to the end of the answer's head. `remote_address` is where the
    answer came from, or what was dialled last.
    """

    status: int | None = None
    error: str | None = None
    detail: str | None = None
    dns_ms: int | None = None
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_byte_ms: int | None = None
    duration_ms: int = 0
    remote_address: str | None = None
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    response_head: bytes = b""
    retry_after_s: float | None = None


class Client:
    """An HTTP client that follows nothing, believes nothing and reads little."""

    def __init__(self, session: aiohttp.ClientSession, deadlines: Deadlines) -> None:
        """Made by `opened_client`."""
        self._session = session
        self._deadlines = deadlines

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Posts the body within the deadlines. Never raises for what a receiver does.

        The headers are added to ours or replace them, except those that frame the request.
        """
        phases = Phases()
        try:
            # A proxy, a redirect or a cookie would let a receiver send us elsewhere than its owner said.
            async with self._session.post(
                URL(url), data=body, headers=_merged(headers), allow_redirects=False
            ) as answer:
                mark("head")
                outcome = _answered(answer, await _beginning(answer, self._deadlines.rest_s))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            outcome = _failed(error, phases)
        return _timed(outcome, phases)


@contextlib.asynccontextmanager
async def opened_client(
    guard: Guard,
    deadlines: Deadlines = DEADLINES,
    *,
    connections: int = 64,
    tls: ssl.SSLContext | None = None,
    nameservers: Sequence[str] | None = None,
) -> AsyncIterator[Client]:
    """A client for the context's time, with at most this many connections.

    `tls` and `nameservers` stand in for what the machine trusts and asks.
    """
    async with contextlib.AsyncExitStack() as stack:
        resolver = Resolver(guard, deadlines.lookup_s, nameservers)
        stack.push_async_callback(resolver.close)
        session = aiohttp.ClientSession(
            connector=Connector(guard, resolver, tls or TlsContext(), connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=deadlines.total_s, connect=deadlines.connect_s, sock_connect=deadlines.connect_s
            ),
            read_bufsize=MAX_RESPONSE_BYTES,
            auto_decompress=False,
            trust_env=False,
        )
        yield Client(await stack.enter_async_context(session), deadlines)


def _merged(headers: Mapping[str, str]) -> dict[str, str]:
    ours = {name.lower(): (name, value) for name, value in _HEADERS.items()}
    theirs = {name.lower(): (name, value) for name, value in headers.items() if name.lower() not in _FRAMING}
    return dict((ours | theirs).values())


async def _beginning(answer: aiohttp.ClientResponse, deadline_s: float) -> bytes:
    """The first bytes of the answer's body.

    Empties a short one, so that the connection can be used again, and drops the connection of a long or slow one: the
    status has decided already, and what happens to the rest changes nothing.
    """
    beginning = bytearray()
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with asyncio.timeout(deadline_s):
            while len(beginning) <= MAX_RESPONSE_BYTES:
                chunk = await answer.content.read(MAX_RESPONSE_BYTES)
                if not chunk:
                    return bytes(beginning)
                beginning += chunk
    answer.close()
    return bytes(beginning[:MAX_RESPONSE_BYTES])


def _answered(answer: aiohttp.ClientResponse, beginning: bytes) -> Outcome:
    outcome = Outcome(
        status=answer.status,
        response_headers=[
            (name.decode("latin-1")[:MAX_KEPT_CHARS], value.decode("latin-1")[:MAX_KEPT_CHARS])
            for name, value in answer.raw_headers[:MAX_KEPT_HEADERS]
            if name.lower() != b"set-cookie"
        ],
        response_head=beginning,
    )
    if 200 <= answer.status < 300:
        return outcome
    error, detail = "status", f"It answered HTTP {answer.status}."
    if answer.status == 410:
        error, detail = "gone", "It answered HTTP 410: it wants no more."
    elif 300 <= answer.status < 400:
        error, detail = "redirect", f"It redirects {_target(answer)} (HTTP {answer.status}); that is not followed."
    retry_after_s = _retry_after_s(answer.headers.get("Retry-After", ""), time.time())
    return replace(outcome, error=error, detail=detail, retry_after_s=retry_after_s)


def _target(answer: aiohttp.ClientResponse) -> str:
    """Where a redirect leads, without path and query: they may hold what only its user should see."""
    try:
        return f"to {answer.url.join(URL(answer.headers['Location'])).origin()}"[:MAX_KEPT_CHARS]
    except (KeyError, ValueError):
        return "to nowhere"


def _retry_after_s(value: str, now: float) -> float | None:
    """Seconds from `now` (Unix seconds) that the header asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 10 else None
    try:
        at = parsedate_to_datetime(value)
        return max(at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now, 0.0)
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser lets all of them through
        return None


def _failed(error: Exception, phases: Phases) -> Outcome:
    """The outcome of an attempt that came to no answer."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match error:
        case _ if isinstance(cause, Blocked):
            return Outcome(error="blocked", detail=str(cause))
        case aiohttp.ClientConnectorDNSError():
            return Outcome(error="dns", detail=f"Its name cannot be looked up. {error.os_error.strerror}")
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as why):
            return Outcome(error="tls", detail=f"Its certificate is not valid: {why.verify_message}."[:MAX_KEPT_CHARS])
        case aiohttp.ClientSSLError():
            return Outcome(error="tls", detail="TLS failed: it speaks none, or no version or cipher of ours.")
        case aiohttp.ConnectionTimeoutError() if phases.reached("tls"):
            return Outcome(error="tls", detail="The TLS handshake did not end in time.")
        case aiohttp.ClientConnectorError() if phases.reached("tls"):
            return Outcome(error="tls", detail="It closed the connection during the TLS handshake.")
        case aiohttp.ConnectionTimeoutError():
            return Outcome(error="connect", detail="It did not accept the connection in time.")
        case aiohttp.ClientConnectorError():
            # asyncio's own text names the address, which is nothing for the customer to see.
            reason = os.strerror(error.errno) if error.errno else "no connection"
            return Outcome(error="connect", detail=f"It cannot be reached: {reason}.")
        case TimeoutError():
            return Outcome(error="timeout", detail="It did not answer in time.")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return Outcome(error="reset", detail="It closed the connection without an answer.")
        case aiohttp.InvalidURL() | ValueError():
            return Outcome(error="blocked", detail="Its URL cannot be called.")
        case _:
            return Outcome(error="bad_response", detail="Its answer is not HTTP, or its head is too long.")


def _timed(outcome: Outcome, phases: Phases) -> Outcome:
    mark("end")
    return replace(
        outcome,
        dns_ms=phases.between("lookup", "found"),
        connect_ms=phases.between("dial", "tls" if phases.reached("tls") else "connected"),
        tls_ms=phases.between("tls", "connected"),
        first_byte_ms=phases.between("connected", "head"),
        duration_ms=phases.between("begin", "end") or 0,
        # Where a name leads inside our network is nothing for its customer to learn.
        remote_address=None if outcome.error == "blocked" else phases.address,
    )
