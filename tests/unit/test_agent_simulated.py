"""The simulated radio and the spool of incoming texts."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.drivers.base import Failed, Outgoing, Sent
from agent.drivers.simulated import SimulatedRadio
from agent.incoming import MAX_CHARS, Spool, drop
from agent.journal import Journal
from agent.lanes import Lanes
from agent.ledger import Ledger
from agent.work import Desk
from shared.model.ids import MessageId, attempt_id
from tests.support.fake_gateway import new_job, until

Radio = Callable[..., SimulatedRadio]

MESSAGE = bytes(range(20))
ATTEMPT = attempt_id(MessageId(MESSAGE), 1)


@pytest.fixture
def radio(tmp_path: Path) -> Radio:
    def make(delay_ms: int = 0, delivery_ms: int = 0, failure_rate: float = 0) -> SimulatedRadio:
        (tmp_path / "incoming").mkdir(exist_ok=True)
        return SimulatedRadio(
            name="phone-1",
            log_file=tmp_path / "radio.jsonl",
            spool=Spool(tmp_path / "incoming"),
            delay_ms=delay_ms,
            delivery_ms=delivery_ms,
            failure_rate=failure_rate,
            rng=random.Random(1),
            now_ms=lambda: int(time.time() * 1000),
        )

    return make


def lines(tmp_path: Path) -> list[dict[str, object]]:
    try:
        return [json.loads(line) for line in (tmp_path / "radio.jsonl").read_text().splitlines()]
    except FileNotFoundError:
        return []


async def test_a_performed_send_is_one_line(radio: Radio, tmp_path: Path) -> None:
    assert isinstance(await radio().send(Outgoing(ATTEMPT, 2, "+15551234567", "grüße")), Sent)
    (line,) = lines(tmp_path)
    assert abs(int(str(line.pop("time"))) - time.time() * 1000) < 10_000
    assert line == {
        "attempt_id": ATTEMPT,
        "message_id": MESSAGE.hex(),
        "number": "+15551234567",
        "channel": "sms",
        "sim": 2,
        "text_sha256": hashlib.sha256("grüße".encode()).hexdigest(),
    }


async def test_the_same_attempt_sent_twice_is_two_lines(radio: Radio, tmp_path: Path) -> None:
    simulated = radio()
    for _ in range(2):
        await simulated.send(Outgoing(ATTEMPT, 1, "+15551234567", "x"))
    assert len(lines(tmp_path)) == 2


async def test_each_sim_sends_one_at_a_time(radio: Radio, tmp_path: Path) -> None:
    simulated = radio(delay_ms=60)
    begun = time.monotonic()
    sends = [simulated.send(Outgoing(ATTEMPT, sim, "+15551234567", "x")) for sim in (1, 1, 2, 2)]
    await asyncio.gather(*sends)
    assert time.monotonic() - begun > 0.11
    assert [line["sim"] for line in lines(tmp_path)] == [1, 2, 1, 2]


async def test_a_receipt_follows_the_send(radio: Radio) -> None:
    simulated = radio(delivery_ms=30)
    sent = await simulated.send(Outgoing(ATTEMPT, 1, "+15551234567", "x"))
    receipt = await asyncio.wait_for(simulated.receipt(), 5)
    await asyncio.wait_for(simulated.quiet(), 5)
    assert receipt.attempt == ATTEMPT
    assert receipt.at_ms >= sent.at_ms + 29


async def test_failures_are_not_performed(radio: Radio, tmp_path: Path) -> None:
    simulated = radio(failure_rate=0.5)
    results = [await simulated.send(Outgoing(ATTEMPT, 1, "+15551234567", "x")) for _ in range(100)]
    failed = [result for result in results if isinstance(result, Failed)]
    assert 30 < len(failed) < 70
    assert all(result.reason for result in failed)
    assert len(lines(tmp_path)) == 100 - len(failed)


async def test_a_log_that_cannot_be_written_is_a_failure(radio: Radio, tmp_path: Path) -> None:
    (tmp_path / "radio.jsonl").mkdir()
    result = await radio().send(Outgoing(ATTEMPT, 1, "+15551234567", "x"))
    assert isinstance(result, Failed)


async def test_texts_are_picked_up_in_the_order_of_arrival(radio: Radio, tmp_path: Path) -> None:
    ids = [drop(tmp_path, "+15551234567", f"text {n}", sim=1 + n % 2) for n in range(5)]
    simulated = radio()
    arrivals = await simulated.arrivals()
    assert [arrival.id for arrival in arrivals] == ids
    assert [(arrival.text, arrival.sim) for arrival in arrivals][:2] == [("text 0", 1), ("text 1", 2)]
    assert await simulated.arrivals() == arrivals
    await simulated.forget(ids[:4])
    assert [arrival.id for arrival in await simulated.arrivals()] == ids[4:]


def test_a_text_is_made_storable_and_its_length_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    drop(tmp_path, "+1555", "a\0b\ud800c")
    (arrival,) = Spool(tmp_path / "incoming").waiting()
    assert arrival.text == "a\ufffdb?c"
    with pytest.raises(ValueError, match="longer"):
        drop(tmp_path, "+1555", "x" * (MAX_CHARS + 1))


def test_what_is_no_text_is_set_aside_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1.json").write_text('{"number": 5}')
    (tmp_path / ".half.tmp").write_text("{")
    spool = Spool(tmp_path)
    assert spool.waiting() == []
    assert spool.waiting() == []
    assert caplog.text.count("1.json") == 1
    assert (tmp_path / "1.bad").exists()


class Fault(SimulatedRadio):
    """Fails half-way."""

    async def send(self, sms: Outgoing) -> Sent | Failed:
        raise RuntimeError("the modem has vanished")


async def test_a_send_whose_result_nobody_knows_is_unknown(tmp_path: Path, radio: Radio) -> None:
    broken = radio()
    broken.__class__ = Fault
    journal = Journal(tmp_path / "journal.db", "id")
    ledger = Ledger(journal)
    desk = Desk((1, 2))
    reported: list[bool] = []
    lanes = Lanes(
        radio=broken,
        desk=desk,
        ledger=ledger,
        now_ms=lambda: int(time.time() * 1000),
        on_place=lambda: None,
        on_report=lambda: reported.append(True),
    )
    late, broken_off = new_job(2, valid_s=0.05), new_job(1)
    now_ms = int(time.time() * 1000)
    for job in (late, broken_off):
        desk.offer(job, None, now_ms)
    desk.taken(desk.to_take(now_ms), [late.attempt, broken_off.attempt])
    await until(lambda: time.time() * 1000 > late.valid_until_ms)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run())
        sims = [tasks.create_task(lanes.run_sim(slot)) for slot in (1, 2)]
        await until(lambda: len(reported) == 2)
        desk.close()
        lanes.ring()
        await asyncio.wait(sims)
        ledger.close()
    assert journal.states([late.attempt, broken_off.attempt]) == {
        late.attempt: "canceled",
        broken_off.attempt: "unknown",
    }
    journal.close()
