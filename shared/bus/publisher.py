"""The one way onto a stream: immutable envelopes, acknowledged only after the PubAck."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Sequence

import nats.errors
import nats.js.errors
import structlog
from nats.js import JetStreamContext
from prometheus_client import Counter, Histogram

from shared.bus.batching import Batcher
from shared.contracts.envelope import encode_envelope, split
from shared.contracts.registry import Stream
from shared.errors import Unavailable

log = structlog.get_logger()

ACK_TIMEOUT_S = 2.0
"""How long one PubAck may take before the same envelope is tried again."""

ENVELOPE_DEADLINE_S = 5.0
"""How long one envelope is retried, byte for byte, before its items are refused."""

QUEUE_BOUND = 10_000
"""Items waiting for the next envelope; more are refused with Unavailable."""

ENVELOPES = Counter(
    "smsfleet_publish_envelopes", "Envelopes for a stream, by what became of them", ["subject", "outcome"]
)
ITEMS = Histogram(
    "smsfleet_publish_items",
    "Items of an envelope that was stored",
    ["subject"],
    buckets=(0, 1, 2, 4, 8, 16, 32, 64, 128, 256),
)
SECONDS = Histogram(
    "smsfleet_publish_seconds",
    "How long an envelope took to be on disk, repetitions included",
    ["subject"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


class Publisher:
    """Publishes items to one subject of one stream, as many at once as queued while the last publish was in flight."""

    def __init__(self, jetstream: JetStreamContext, stream: Stream, subject: str) -> None:
        """`run()` must be running for `publish()` to answer."""
        self._jetstream = jetstream
        self._stream = stream.name
        self._subject = subject
        self._batcher: Batcher[bytes, None] = Batcher(self._publish_batch, fits=_fits, bound=QUEUE_BOUND)
        self._last_ok = float("-inf")
        self._last_failed = float("-inf")
        self._stored, self._refused = ENVELOPES.labels(subject, "stored"), ENVELOPES.labels(subject, "refused")
        self._items, self._seconds = ITEMS.labels(subject), SECONDS.labels(subject)

    async def run(self) -> None:
        """Publishes until cancelled."""
        await self._batcher.run()

    async def publish(self, item: bytes) -> None:
        """Returns when the encoded item is on the stream's disk. Raises Unavailable when that is not certain."""
        await self._batcher.add(item, timeout=ENVELOPE_DEADLINE_S + ACK_TIMEOUT_S)

    async def publish_envelope(self, items: Sequence[bytes]) -> None:
        """Puts these items on the stream as one envelope of their own. Raises Unavailable."""
        await self._send(items)

    async def probe(self) -> None:
        """Keeps `state()` honest: publishes an empty envelope where nothing was published for 1 s."""
        if time.monotonic() - max(self._last_ok, self._last_failed) > 1:
            await self.publish_envelope([])

    def state(self) -> str:
        """What readiness says: "ok" if the last publish of the last 5 s was stored, else what is wrong."""
        if self._last_failed > self._last_ok:
            return "publishing fails"
        return "ok" if time.monotonic() - self._last_ok < ENVELOPE_DEADLINE_S + 2 else "nothing was published yet"

    async def _publish_batch(self, items: list[bytes]) -> Sequence[None]:
        await self._send(items)
        return [None] * len(items)

    async def _send(self, items: Sequence[bytes]) -> None:
        began = time.monotonic()
        try:
            await self._store(encode_envelope(items))
        except Unavailable:
            self._refused.inc()
            raise
        self._stored.inc()
        self._items.observe(len(items))
        self._seconds.observe(time.monotonic() - began)

    async def _store(self, body: bytes) -> None:
        headers = {"Nats-Msg-Id": secrets.token_hex(16)}
        deadline = time.monotonic() + ENVELOPE_DEADLINE_S
        pause = 0.05
        while True:
            try:
                await self._jetstream.publish(
                    self._subject, body, timeout=ACK_TIMEOUT_S, stream=self._stream, headers=headers
                )
                self._last_ok = time.monotonic()
                return
            except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
                self._last_failed = time.monotonic()
                if isinstance(error, nats.js.errors.APIError) and not _may_pass(error):
                    log.warning("stream refuses", stream=self._stream, error=str(error))
                    raise Unavailable(f"The stream {self._stream} is full.") from error
                if time.monotonic() + pause > deadline:
                    log.warning("publish failed", stream=self._stream, error=repr(error))
                    raise Unavailable(f"The stream {self._stream} does not answer.") from error
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.5)


def _fits(waiting: Iterable[bytes]) -> int:
    return split(map(len, waiting))


def _may_pass(error: nats.js.errors.APIError) -> bool:
    """No responders, a leader election and the like pass; a full stream (err_code 10077, 10047, ...) does not."""
    return isinstance(error, (nats.js.errors.NoStreamResponseError, nats.js.errors.ServiceUnavailableError))
