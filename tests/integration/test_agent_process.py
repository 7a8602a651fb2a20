"""The agent as a process: killed at any moment, interrupted, started twice or wrongly."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fake_gateway import FakeGateway, fake_gateway, new_job, until
from tests.support.socket_phones import agent_process, radio_lines


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as running:
        yield running


async def test_what_was_in_the_radio_at_a_kill_is_unknown_and_never_sent_again(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    folder = tmp_path / "phone"
    jobs = [new_job(1 + n % 2) for n in range(12)]
    gateway.add(*jobs)
    async with agent_process(gateway, folder, SMSFLEET_PHONE_DELAY_MS="600000") as process:
        await until(lambda: len(radio_lines(folder)) == 2 and len(gateway.attempts("taken")) == 4)
        assert (folder / "connected").exists()
        process.kill()
        await process.wait()
    in_radio = radio_lines(folder)
    async with agent_process(gateway, folder, SMSFLEET_PHONE_DELAY_MS="1") as process:
        others = [job.attempt for job in jobs if job.attempt not in in_radio]
        await until(lambda: all("delivered" in gateway.states(attempt) for attempt in others))
        await until(lambda: all(gateway.states(attempt) for attempt in in_radio))
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    # One of each SIM, no more; the two that were taken ahead were offered again and sent.
    assert [gateway.states(attempt)[0] for attempt in in_radio] == ["unknown", "unknown"]
    assert sorted(radio_lines(folder)) == sorted(job.attempt for job in jobs)
    assert len({hello.journal for hello in gateway.hellos}) == 1
    assert not (folder / "connected").exists()


async def test_the_unknown_is_reported_without_being_asked_for(gateway: FakeGateway, tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    job = new_job(1)
    gateway.add(job)
    gateway.gives_again = False
    async with agent_process(gateway, folder, SMSFLEET_PHONE_DELAY_MS="600000"):
        await until(lambda: radio_lines(folder))
    async with agent_process(gateway, folder):
        await until(lambda: gateway.states(job.attempt))
    assert gateway.reports[job.attempt][0].reason == "interrupted"
    assert radio_lines(folder) == [job.attempt]


async def test_kills_at_any_moment_double_nothing(gateway: FakeGateway, tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    jobs = [new_job(1 + n % 2) for n in range(200)]
    gateway.add(*jobs)

    async def has_sent(count: int) -> None:
        await until(lambda: len(radio_lines(folder)) >= count)

    for part in range(1, 4):
        async with agent_process(gateway, folder, SMSFLEET_PHONE_DELAY_MS="3"):
            await has_sent(30 * part)
    async with agent_process(gateway, folder, SMSFLEET_PHONE_DELAY_MS="3"):
        await until(lambda: all(gateway.states(job.attempt) for job in jobs), 30)
    sent = radio_lines(folder)
    assert len(sent) == len(set(sent))
    missing = {job.attempt for job in jobs} - set(sent)
    unknown = {attempt for attempt in gateway.reports if "unknown" in gateway.states(attempt)}
    assert missing <= unknown
    assert len(unknown) <= 2 * 3


async def test_one_clear_line_and_an_exit_code(gateway: FakeGateway, tmp_path: Path) -> None:
    wrong_key = agent_process(gateway, tmp_path / "a", SMSFLEET_PHONE_ENROLMENT_KEY="wrong")
    wrong_url = agent_process(gateway, tmp_path / "b", SMSFLEET_PHONE_URL="ftp://nowhere")
    for starting, code, said in ((wrong_key, 1, b"refuses"), (wrong_url, 2, b"SMSFLEET_PHONE_URL")):
        async with starting as process:
            _, errors = await asyncio.wait_for(process.communicate(), 20)
            assert process.returncode == code
            assert said in errors.splitlines()[-1]
            assert b"Traceback" not in errors


async def test_two_agents_do_not_share_a_folder(gateway: FakeGateway, tmp_path: Path) -> None:
    async with agent_process(gateway, tmp_path / "phone"):
        await until(lambda: gateway.connections)
        async with agent_process(gateway, tmp_path / "phone") as second:
            _, errors = await asyncio.wait_for(second.communicate(), 20)
            assert second.returncode == 1
            assert b"already" in errors
        assert len(gateway.hellos) == 1


async def test_an_interrupt_stops_it_too(gateway: FakeGateway, tmp_path: Path) -> None:
    async with agent_process(gateway, tmp_path / "phone") as process:
        await until(lambda: gateway.connections)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 0
