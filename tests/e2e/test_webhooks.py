"""A text that a phone receives arrives at the customer's receiver, also when that was away."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.receiver import Delivery, Receiver
from tests.support.system import System
from tests.support.waiting import until

OUTAGE_S = 10.0
AFTER_OUTAGE_S = 30.0


@contextlib.asynccontextmanager
async def endpoint(system: System, url: str) -> AsyncIterator[dict[str, Any]]:
    """A webhook of the first account for the context's time."""
    made = await system.cli("webhook", "create", url)
    try:
        yield made
    finally:
        await system.cli("webhook", "delete", made["id"])


async def delivered(receiver: Receiver, text: str, within_s: float = 20.0) -> Delivery:
    """Waits for the delivery of this ASCII text."""

    async def there() -> list[Delivery]:
        return receiver.with_text(text.encode())

    return (await until(there, "the webhook arrived", within_s))[0]


async def test_a_received_text_arrives_as_the_classic_body(system: System) -> None:
    text = "webhook, please: 42 & more"
    async with Receiver.running() as receiver, endpoint(system, receiver.url):
        await system.cli("phone", "receive", "--from", "+15550001111", text)
        delivery = await delivered(receiver, text)
        body = json.loads(delivery.body)
        (row,) = [row for row in await system.inbox() if row["message"] == text]

    assert delivery.line == "POST /hook HTTP/1.1"
    assert delivery.header("content-type") == "application/json"
    assert delivery.header("content-length") == str(len(delivery.body))
    assert delivery.header("transfer-encoding") is None
    assert list(body) == ["date", "hour", "time_received", "message", "number", "guid"]
    assert all(isinstance(value, str) for value in body.values())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", body["date"])
    assert re.fullmatch(r"\d\d:\d\d:\d\d", body["hour"])
    assert re.fullmatch(r"\d{17}", body["time_received"])
    assert body["message"] == text
    assert body["number"] == "15550001111"
    assert body["guid"] == row["guid"]
    assert (body["date"], body["hour"], body["time_received"]) == (row["date"], row["hour"], row["time_received"])


async def test_it_arrives_after_an_outage_of_the_receiver(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    text = "you were away"
    async with Receiver.running() as receiver, endpoint(system, receiver.url) as made:
        await receiver.go_away()
        await system.cli("phone", "receive", "--from", "+15550002222", text)
        # The outage itself, and proof that the receiver was missed during it.
        await asyncio.sleep(OUTAGE_S)
        shown = await system.cli("webhook", "show", made["id"])
        assert shown["last_error"]
        assert shown["pending"] == 1
        await receiver.come_back()
        back = asyncio.get_running_loop().time()
        delivery = await delivered(receiver, text, AFTER_OUTAGE_S)
    with capsys.disabled():
        print(f"\n  the webhook arrived {delivery.at - back:.1f} s after the end of an outage of {OUTAGE_S:g} s")
    assert json.loads(delivery.body)["message"] == text


@pytest.mark.parametrize("status", [500, 302])
async def test_an_answer_that_is_no_success_is_tried_again(system: System, status: int) -> None:
    text = f"try again after {status}"
    async with Receiver.running() as receiver, endpoint(system, receiver.url):
        receiver.status = status
        await system.cli("phone", "receive", "--from", "+15550003333", text)
        first = await delivered(receiver, text)
        receiver.status = 200

        async def again() -> list[Delivery]:
            return receiver.with_text(text.encode())[1:]

        (second, *_) = await until(again, "it was delivered again")
    assert second.body == first.body


async def test_a_deleted_endpoint_gets_nothing(system: System) -> None:
    async with Receiver.running() as old, Receiver.running() as new:
        async with endpoint(system, old.url):
            pass
        async with endpoint(system, new.url):
            await system.cli("phone", "receive", "--from", "+15550004444", "only for the new one")
            await delivered(new, "only for the new one")
    assert old.deliveries == []
