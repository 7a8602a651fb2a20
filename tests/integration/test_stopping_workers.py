"""A worker that is told to stop answers what it was asked and stores what it fetched; others get the rest."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from nats.aio.client import Client

from shared.bus.consumer import BatchConsumer
from shared.bus.publisher import Publisher
from shared.bus.rpc import Responder, RpcClient
from shared.bus.worker import running_broker, worker_broker
from shared.contracts import registry
from shared.contracts.commands import SubmitSms
from shared.contracts.envelope import encode_item
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.messages import MarkRead
from shared.errors import Unavailable
from shared.runtime.settings import ServiceSettings
from tests.support.dispatching import submit_sms
from tests.support.waiting import until

ASKERS = 64
ENVELOPES = 200
ANSWER_S = 0.02


async def _nothing() -> None:
    return None


def never(_: Exception) -> bool:
    return False


@contextlib.asynccontextmanager
async def answering(settings: ServiceSettings, heard: Callable[[], Any]) -> AsyncIterator[None]:
    """A worker that takes its time over each question."""

    async def answer(_: MarkRead) -> Done:
        heard()
        await asyncio.sleep(ANSWER_S)
        return Done()

    broker = worker_broker(settings, "dispatcher", _nothing)
    Responder(registry.DISPATCHER_MARK_READ, answer, never).subscribe(broker)
    async with running_broker(broker):
        yield


async def test_a_question_to_one_of_two_is_answered_while_the_other_stops(
    settings: ServiceSettings, nats_client: Client
) -> None:
    rpc, ends, heard = RpcClient(nats_client), Counter[str](), Counter[str]()
    stopped = asyncio.Event()

    async def ask() -> None:
        after = 0
        while after < 3:
            after += stopped.is_set()
            try:
                await rpc.ask(registry.DISPATCHER_MARK_READ, MarkRead(account=1, inbox=[]), timeout=2)
                ends["answered"] += 1
            except Unavailable:
                ends["not answered"] += 1

    async def busy() -> bool:
        return min(heard["stays"], heard["goes"]) >= ASKERS

    async with answering(settings, lambda: heard.update(["stays"])), asyncio.TaskGroup() as asking:
        async with answering(settings, lambda: heard.update(["goes"])):
            for _ in range(ASKERS):
                asking.create_task(ask())
            await until(busy, "both answer")
        stopped.set()
    assert set(ends) == {"answered"}, ends
    assert sum(heard.values()) == ends["answered"]


async def test_what_was_fetched_is_stored_and_acknowledged(settings: ServiceSettings, nats_client: Client) -> None:
    durable = registry.DISPATCHER_SINGLE
    jetstream = nats_client.jetstream()
    publisher = Publisher(jetstream, durable.stream, durable.subject)
    for _ in range(ENVELOPES):
        await publisher.publish_envelope([encode_item(submit_sms("+1"))])
    stored: list[SubmitSms] = []

    async def store(commands: list[SubmitSms]) -> None:
        await asyncio.sleep(ANSWER_S)
        stored.extend(commands)

    async def bury(item: SubmitSms | bytes, reason: str) -> None:
        raise AssertionError(reason)

    async def some() -> bool:
        return len(stored) >= ENVELOPES // 4

    broker = worker_broker(settings, "dispatcher", _nothing)
    consumer = BatchConsumer(durable, SubmitSms, store=store, bury=bury, is_item_error=never)
    consumer.subscribe(broker)
    storing = asyncio.create_task(consumer.run())
    try:
        async with running_broker(broker):
            await until(some, "a part is stored")
    finally:
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
    assert len(stored) < ENVELOPES, "it was stopped in the middle"

    async def settled() -> bool:
        info = await jetstream.consumer_info(durable.stream.name, durable.name)
        return (info.num_ack_pending, info.num_pending) == (0, ENVELOPES - len(stored))

    # Sooner than what is not acknowledged comes again.
    await until(settled, "what was stored is acknowledged, and nothing else was fetched", durable.ack_wait_s / 2)
