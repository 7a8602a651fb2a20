"""What the one publisher, the one consumer and the rpc kit tell Prometheus, on real NATS."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.bus.consumer import BatchConsumer
from shared.bus.publisher import Publisher
from shared.bus.rpc import Responder, RpcClient
from shared.bus.worker import running_broker, worker_broker
from shared.contracts import registry
from shared.contracts.envelope import encode_item
from shared.contracts.events import Event
from shared.contracts.rpc.messages import CancelAnswer, CancelMessage
from shared.errors import Conflict, SmsFleetError, Unavailable
from shared.runtime.settings import ServiceSettings
from tests.support.metrics import metric
from tests.support.waiting import until

SUBJECT, DURABLE = registry.EVENT_ENVELOPE, registry.WEBHOOKS_EVENTS.name


class Away(Exception):
    """The surroundings do not answer."""


class Broken(Exception):
    """An item's own fault."""


class Keeper:
    """Stores events unless it is told otherwise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.kept: list[Event] = []
        self.buried = 0

    async def store(self, events: list[Event]) -> None:
        if self.error is not None:
            raise self.error
        self.kept += events

    async def bury(self, _item: Event | bytes, _reason: str) -> None:
        self.buried += 1


@pytest.fixture
async def keeper(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Keeper]:
    made = Keeper()
    consumer = BatchConsumer(
        registry.WEBHOOKS_EVENTS,
        Event,
        store=made.store,
        bury=made.bury,
        is_item_error=lambda error: isinstance(error, Broken),
    )
    broker = worker_broker(settings, "webhooks", _nothing)
    consumer.subscribe(broker)
    async with running_broker(broker):
        running = asyncio.create_task(consumer.run())
        yield made
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _nothing() -> None:
    return None


def events(count: int) -> list[bytes]:
    return [encode_item(Event(id=str(n), account=1, type="sms.sent", occurred_at=1.0)) for n in range(count)]


async def test_batches_lag_and_rejected_items(nats_client: Client, keeper: Keeper) -> None:
    def told(name: str) -> float:
        return metric(f"smsfleet_consume_{name}", durable=DURABLE)

    publisher = Publisher(nats_client.jetstream(timeout=5), registry.EVENTS, SUBJECT)
    before = {
        name: told(name) for name in ("items_sum", "items_count", "seconds_count", "rejected_total", "away_total")
    }
    await publisher.publish_envelope(events(3))

    async def stored() -> bool:
        return told("items_sum") == before["items_sum"] + 3

    await until(stored, "the batch is told")
    assert told("items_count") == before["items_count"] + 1
    assert told("seconds_count") == before["seconds_count"] + 1
    assert len(keeper.kept) == 3

    async def level() -> bool:
        return told("lag_seconds") == 0

    await until(level, "nothing is in hand")

    keeper.error = Away()
    await publisher.publish_envelope(events(2))

    async def behind() -> bool:
        return told("lag_seconds") > 0.3

    await until(behind, "the lag grows while nothing can be stored")
    assert told("away_total") > before["away_total"]
    keeper.error = Broken()

    async def rejected() -> bool:
        return keeper.buried == 2 and told("lag_seconds") == 0

    await until(rejected, "each bad item is let go")
    assert told("rejected_total") == before["rejected_total"] + 2


async def test_envelopes_are_told_by_what_became_of_them(nats_client: Client) -> None:
    def told(name: str, **labels: str) -> float:
        return metric(f"smsfleet_publish_{name}", subject=SUBJECT, **labels)

    jetstream = nats_client.jetstream(timeout=5)
    stored, refused = told("envelopes_total", outcome="stored"), told("envelopes_total", outcome="refused")
    items, seconds = told("items_sum"), told("seconds_count")
    await Publisher(jetstream, registry.EVENTS, SUBJECT).publish_envelope(events(5))
    assert told("envelopes_total", outcome="stored") == stored + 1
    assert (told("items_sum"), told("seconds_count")) == (items + 5, seconds + 1)
    with pytest.raises(Unavailable):
        await Publisher(jetstream, registry.COMMANDS, SUBJECT).publish_envelope(events(1))
    assert told("envelopes_total", outcome="refused") == refused + 1
    assert told("seconds_count") == seconds + 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (Conflict(code="too_late"), "refused"),
        (Unavailable(), "unavailable"),
        (Away(), "unavailable"),
        (ZeroDivisionError(), "failed"),
    ],
    ids=["ok", "refused", "unavailable", "surroundings", "failed"],
)
async def test_questions_are_told_at_both_ends(
    settings: ServiceSettings, nats_client: Client, error: Exception | None, outcome: str
) -> None:
    contract = registry.DISPATCHER_CANCEL

    async def answer(_: CancelMessage) -> CancelAnswer:
        if error is not None:
            raise error
        return CancelAnswer(wished=False)

    def counts(outcome: str) -> tuple[float, float, float, float]:
        labels = {"rpc": contract.subject}
        return (
            metric("smsfleet_rpc_asked_total", outcome=outcome, **labels),
            metric("smsfleet_rpc_answered_total", outcome=outcome, **labels),
            metric("smsfleet_rpc_asked_seconds_count", **labels),
            metric("smsfleet_rpc_answered_seconds_count", **labels),
        )

    broker = worker_broker(settings, "dispatcher", _nothing)
    Responder(contract, answer, lambda problem: isinstance(problem, Away)).subscribe(broker)
    before = counts(outcome)
    async with running_broker(broker) as connection:
        await connection.flush(5)
        question = CancelMessage(account=1, message=bytes(20))
        if error is None:
            await RpcClient(nats_client).ask(contract, question)
        else:
            with pytest.raises(SmsFleetError):
                await RpcClient(nats_client).ask(contract, question)
    assert counts(outcome) == tuple(count + 1 for count in before)


async def test_a_question_that_nobody_answers_is_told(nats_client: Client) -> None:
    contract = registry.DISPATCHER_CLOSE
    before = metric("smsfleet_rpc_asked_total", rpc=contract.subject, outcome="unavailable")
    with pytest.raises(Unavailable):
        await RpcClient(nats_client).ask(contract, contract.request(account=1, device="d" * 21, session=1))
    assert metric("smsfleet_rpc_asked_total", rpc=contract.subject, outcome="unavailable") == before + 1
