"""The agent's work with a gateway that loses answers, cuts lines and repeats itself: nothing lost, nothing twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.incoming import drop
from shared.contracts import phone
from tests.support.fake_gateway import FakeGateway, fake_gateway, new_job, until
from tests.support.socket_phones import PATIENT, Start, starting


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as running:
        yield running


@pytest.fixture
async def start(gateway: FakeGateway, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a phone that is stopped after the test."""
    async with starting(gateway, tmp_path / "phone") as begin:
        yield begin


async def test_work_is_sent_once_and_reported(gateway: FakeGateway, start: Start) -> None:
    jobs = [new_job(1 + n % 2) for n in range(60)]
    agent = await start()
    await gateway.offer(*jobs)
    await until(lambda: all(gateway.states(job.attempt) == ["sent", "delivered"] for job in jobs))
    assert sorted(agent.sent()) == sorted(job.attempt for job in jobs)


async def test_it_asks_for_no_more_than_it_can_send_soon(gateway: FakeGateway, start: Start) -> None:
    jobs = [new_job(1) for _ in range(20)]
    agent = await start(delay_ms=600_000, limits=PATIENT)
    await gateway.offer(*jobs)
    # One in the radio, one ahead, two untaken; then nothing moves until the radio does.
    await until(lambda: len(gateway.attempts("taken")) == 2 and len(gateway.attempts("leased")) == 2)
    readies = gateway.count(phone.Ready)
    for n in range(5):
        await gateway.send(phone.Wake(), phone.Ping(n=n))
    await until(lambda: gateway.count(phone.Pong) == 5)
    assert len(gateway.attempts("taken")) == 2
    assert len(gateway.attempts("ready")) == 16
    assert len(agent.sent()) == 1
    held = [frame.held for frame in gateway.seen if isinstance(frame, phone.Ready)]
    assert max(map(len, held)) <= 2
    assert all(frame.places == {1: 2, 2: 2} for frame in gateway.seen if isinstance(frame, phone.Ready))
    # SIM 2 has places, so a wake is answered; each of the five at most once.
    assert gateway.count(phone.Ready) - readies <= 5
    agent.abandoned = True


async def test_an_idle_phone_is_quiet_but_asks_now_and_then(gateway: FakeGateway, start: Start) -> None:
    await start()
    await until(lambda: gateway.count(phone.Ready) == 2)
    job = new_job()
    gateway.add(job)  # without a wake
    await until(lambda: gateway.states(job.attempt))
    assert gateway.count(phone.Ready) <= 5


async def test_many_wakes_are_one_question(gateway: FakeGateway, start: Start) -> None:
    await start(limits=PATIENT)
    await until(lambda: gateway.count(phone.Ready) == 1)
    gateway.silent.add(phone.Ready)
    await gateway.send(*[phone.Wake()] * 20, phone.Ping(n=1))
    await until(lambda: gateway.count(phone.Pong) == 1)
    await until(lambda: gateway.count(phone.Ready) == 2)
    await gateway.send(*[phone.Wake()] * 20, phone.Ping(n=2))
    await until(lambda: gateway.count(phone.Pong) == 2)
    assert gateway.count(phone.Ready) == 2
    gateway.silent.clear()
    await gateway.send(phone.Jobs(jobs=[]))
    await until(lambda: gateway.count(phone.Ready) == 3)


async def test_a_take_without_an_answer_is_not_sent_but_asked_again(gateway: FakeGateway, start: Start) -> None:
    gateway.silent.add(phone.Take)
    job = new_job()
    agent = await start()
    await gateway.offer(job)
    await until(lambda: gateway.count(phone.Take) == 2)
    late = next(frame for frame in gateway.seen if isinstance(frame, phone.Take))
    await gateway.send(phone.Taken(seq=late.seq, attempts=late.attempts), phone.Ping(n=1))
    await until(lambda: gateway.count(phone.Pong) == 1)
    assert agent.sent() == []
    gateway.silent.clear()
    await until(lambda: gateway.states(job.attempt))
    assert agent.sent() == [job.attempt]


async def test_a_lost_answer_to_a_take_ends_in_one_send(gateway: FakeGateway, start: Start) -> None:
    gateway.silent.add(phone.Take)
    gateway.act_unanswered = True
    job = new_job()
    agent = await start()
    await gateway.offer(job)
    await until(lambda: gateway.count(phone.Take) == 1)
    gateway.cut()
    gateway.silent.clear()
    await until(lambda: "delivered" in gateway.states(job.attempt))
    assert agent.sent() == [job.attempt]


async def test_a_refused_take_is_not_sent(gateway: FakeGateway, start: Start) -> None:
    refused, allowed = new_job(1), new_job(1)
    gateway.refused.add(refused.attempt)
    agent = await start()
    await gateway.offer(refused, allowed)
    await until(lambda: gateway.states(allowed.attempt))
    assert agent.sent() == [allowed.attempt]
    assert not gateway.states(refused.attempt)


async def test_jobs_that_come_again_are_sent_once(gateway: FakeGateway, start: Start) -> None:
    job = new_job()
    agent = await start()
    gateway.add(job, state="leased")
    await gateway.send(phone.Jobs(jobs=[job, job]), phone.Jobs(jobs=[job]))
    await until(lambda: "delivered" in gateway.states(job.attempt))
    await gateway.send(phone.Jobs(jobs=[job]))
    await until(lambda: gateway.states(job.attempt)[2:] == ["delivered"])
    assert agent.sent() == [job.attempt]


async def test_reports_are_repeated_until_acknowledged(gateway: FakeGateway, start: Start) -> None:
    gateway.silent.add(phone.Report)
    job = new_job()
    agent = await start()
    await gateway.offer(job)
    await until(lambda: gateway.count(phone.Report) >= 3)
    gateway.cut()
    gateway.silent.clear()
    await until(lambda: {"sent", "delivered"} <= set(gateway.states(job.attempt)))
    assert agent.sent() == [job.attempt]


async def test_reports_made_while_offline_are_not_lost(gateway: FakeGateway, start: Start) -> None:
    jobs = [new_job(1), new_job(1)]
    agent = await start(delay_ms=200)
    await gateway.offer(*jobs)
    await until(lambda: len(gateway.attempts("taken")) == 2)
    await gateway.stop()
    gateway.cut()
    # What was taken is the phone's to send, connected or not.
    await until(lambda: len(agent.sent()) == 2)
    assert not agent.home.connected.exists()
    await gateway.start()
    await until(lambda: all("delivered" in gateway.states(job.attempt) for job in jobs))
    assert sorted(agent.sent()) == sorted(job.attempt for job in jobs)


async def test_what_this_phone_cannot_send_is_reported_failed(gateway: FakeGateway, start: Start) -> None:
    strange, fax = new_job(7), new_job(1, channel="fax")
    agent = await start()
    await gateway.offer(strange, fax)
    await until(lambda: gateway.states(strange.attempt) and gateway.states(fax.attempt))
    assert set(gateway.taken) == {strange.attempt, fax.attempt}
    assert gateway.reports[strange.attempt][0].reason == "no_sim"
    assert gateway.reports[fax.attempt][0].reason == "no_channel"
    assert agent.sent() == []


async def test_received_texts_arrive_once_and_in_order(gateway: FakeGateway, start: Start) -> None:
    gateway.silent.add(phone.Received)
    agent = await start()
    ids = [drop(agent.home.folder, "+15551234567", f"text {n}", sim=1 + n % 2) for n in range(20)]
    await until(lambda: gateway.count(phone.Received) >= 1)
    await until(lambda: not list(agent.home.incoming.iterdir()))
    gateway.cut()
    gateway.silent.clear()
    await until(lambda: len(gateway.texts) == 20)
    assert list(gateway.texts) == ids
    assert gateway.texts[ids[3]].text == "text 3"
    assert gateway.texts[ids[3]].sim == 2


async def test_cut_lines_lose_and_double_nothing(gateway: FakeGateway, start: Start) -> None:
    jobs = [new_job(1 + n % 2) for n in range(150)]
    agent = await start()
    await gateway.offer(*jobs)

    async def has_sent(count: int) -> None:
        await until(lambda: len(agent.sent()) >= count)

    for part in range(10):
        await has_sent(12 * part)
        gateway.cut()
        await until(lambda: gateway.connections)
    await until(lambda: all("delivered" in gateway.states(job.attempt) for job in jobs), 30)
    assert sorted(agent.sent()) == sorted(job.attempt for job in jobs)
