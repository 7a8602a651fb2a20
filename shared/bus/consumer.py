"""The one batch consumer: envelopes in, items to one store call, acks after its commit, poison isolated to the item."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec
import structlog
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.msg import Msg
from prometheus_client import Counter, Gauge, Histogram

from shared.bus.batching import Batcher
from shared.bus.worker import undecoded
from shared.contracts.envelope import MAX_ITEMS, decode_envelope
from shared.contracts.registry import Durable, inbox_prefix

log = structlog.get_logger()

Item = TypeVar("Item")

FETCH = 16
"""Envelopes asked for at once; the next fetch waits until all of them are stored."""

LONGEST_PAUSE_S = 2.0
"""Longest wait between two tries while the surroundings are away."""

IN_FLIGHT_S = 3600.0
"""A batch may wait this long for its surroundings; then the message is left to redelivery."""

ITEMS = Histogram(
    "smsfleet_consume_items",
    "Items of a batch",
    ["durable"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
SECONDS = Histogram(
    "smsfleet_consume_seconds",
    "How long a batch took to be stored, repetitions included",
    ["durable"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
REJECTED = Counter("smsfleet_consume_rejected", "Items that were refused for a fault of their own", ["durable"])
AWAY = Counter("smsfleet_consume_away", "Tries to store that failed because the surroundings were away", ["durable"])
LAG = Gauge(
    "smsfleet_consume_lag_seconds", "How long ago the oldest envelope in hand went onto its stream", ["durable"]
)


class BatchConsumer(Generic[Item]):
    """Feeds one durable consumer's items to `store`, many at once.

    `store` must be idempotent. An error that `is_item_error` recognises is an item's own: the batch is halved until
    the bad item stands alone and goes to `bury`. Any other error is the surroundings': the batch is tried again until
    it succeeds, nothing is fetched meanwhile, and what is held is kept alive.
    """

    def __init__(
        self,
        durable: Durable,
        kind: type[Item],
        *,
        store: Callable[[list[Item]], Awaitable[object]],
        bury: Callable[[Item | bytes, str], Awaitable[object]],
        is_item_error: Callable[[Exception], bool],
    ) -> None:
        """`bury` gets the item (its bytes, when they could not be decoded) and the reason."""
        self._durable = durable
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._store = store
        self._bury = bury
        self._is_item_error = is_item_error
        self._trouble = ""
        self._batcher: Batcher[list[bytes], None] = Batcher(self._process, fits=_up_to_items, bound=4 * FETCH)
        self._in_hand: dict[int, float] = {}
        self._items, self._seconds = ITEMS.labels(durable.name), SECONDS.labels(durable.name)
        self._rejected, self._away = REJECTED.labels(durable.name), AWAY.labels(durable.name)
        LAG.labels(durable.name).set_function(self.lag_s)

    def subscribe(self, broker: NatsBroker) -> None:
        """Declares the subscriber; it starts with the broker. `run()` must be running too."""
        broker.subscriber(
            self._durable.subject,
            durable=self._durable.name,
            stream=JStream(self._durable.stream.name, declare=False),
            pull_sub=PullSub(batch_size=FETCH, timeout=2.0),
            # The broker's own prefix does not reach its pull subscribers.
            inbox_prefix=f"{inbox_prefix(self._durable.service)}.".encode(),
            decoder=undecoded,
            title=self._durable.name,
            description=f"Consumes {self._durable.stream.name} in batches.",
        )(self._handle)

    def state(self) -> str:
        """What readiness says: "ok", or what keeps the batch in hand from being stored."""
        return self._trouble or "ok"

    def lag_s(self) -> float:
        """How long ago the oldest envelope in hand went onto its stream, in seconds by both machines' clocks.

        Nothing is fetched past what cannot be stored, so this is the stream's oldest as well; 0 with nothing in hand.
        """
        return max(0.0, time.time() - min(self._in_hand.values())) if self._in_hand else 0.0

    async def run(self) -> None:
        """Stores batches until cancelled."""
        await self._batcher.run()

    async def _handle(self, message: NatsMessage) -> None:
        self._in_hand[id(message)] = _stored_at(message)
        try:
            await self._store_envelope(message)
        finally:
            del self._in_hand[id(message)]

    async def _store_envelope(self, message: NatsMessage) -> None:
        try:
            items = decode_envelope(message.body)
        except msgspec.DecodeError as error:
            reason = f"not an envelope: {error}"
            self._rejected.inc()
            await self._until_done(lambda: self._bury(message.body, reason))
            await message.ack()
            return
        alive = asyncio.create_task(self._keep_alive(message))
        try:
            await self._batcher.add(items, timeout=IN_FLIGHT_S)
        finally:
            alive.cancel()
        await message.ack()

    async def _keep_alive(self, message: NatsMessage) -> None:
        while True:
            await asyncio.sleep(self._durable.ack_wait_s / 3)
            try:
                await message.in_progress()
            except Exception as error:
                log.debug("keeping alive failed", error=repr(error))

    async def _process(self, envelopes: list[list[bytes]]) -> Sequence[None]:
        items: list[Item] = []
        for raw in (raw for envelope in envelopes for raw in envelope):
            try:
                items.append(self._decoder.decode(raw))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                reason = f"cannot be decoded: {error}"
                self._rejected.inc()
                await self._until_done(lambda raw=raw, reason=reason: self._bury(raw, reason))  # type: ignore[misc]
        if items:
            began = time.monotonic()
            await self._store_or_halve(items)
            self._items.observe(len(items))
            self._seconds.observe(time.monotonic() - began)
        return [None] * len(envelopes)

    async def _store_or_halve(self, items: list[Item]) -> None:
        try:
            await self._until_done(lambda: self._store(items))
        except Exception as error:
            if len(items) == 1:
                self._rejected.inc()
                log.warning("item rejected", durable=self._durable.name, error=type(error).__name__)
                reason = f"{type(error).__name__}: {error}"
                await self._until_done(lambda: self._bury(items[0], reason))
                return
            middle = len(items) // 2
            await self._store_or_halve(items[:middle])
            await self._store_or_halve(items[middle:])

    async def _until_done(self, call: Callable[[], Awaitable[object]]) -> None:
        """Calls until it succeeds. Raises only an item's own error."""
        pause = 0.05
        while True:
            try:
                await call()
                self._trouble = ""
                return
            except Exception as error:
                if self._is_item_error(error):
                    raise
                self._away.inc()
                self._trouble = f"cannot store: {type(error).__name__}"
                log.warning("surroundings away", durable=self._durable.name, error=repr(error)[:300])
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)


def _stored_at(message: NatsMessage) -> float:
    raw = message.raw_message
    assert isinstance(raw, Msg)
    return raw.metadata.timestamp.timestamp()


def _up_to_items(envelopes: object) -> int:
    count = total = 0
    for envelope in envelopes:  # type: ignore[attr-defined]
        if count and total + len(envelope) > MAX_ITEMS:
            break
        count, total = count + 1, total + len(envelope)
    return count
