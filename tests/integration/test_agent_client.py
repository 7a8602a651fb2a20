"""The agent against a gateway that loses answers, cuts lines, repeats itself and refuses."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.app import run_phone
from agent.home import PhoneHome
from agent.incoming import drop
from agent.journal import Journal
from agent.settings import Limits, Settings
from shared.contracts import phone
from tests.support.fake_gateway import KEY, FakeGateway, fake_gateway, new_job, until

PROJECT = Path(__file__).parents[2]

LIMITS = Limits(
    connect_s=2,
    send_s=2,
    take_s=0.3,
    ready_s=0.5,
    ack_s=0.5,
    flush_s=2,
    lasted_s=0,
    backoff_base_s=0.01,
    backoff_cap_s=0.05,
)
PATIENT = Limits(backoff_base_s=0.01, backoff_cap_s=0.05, lasted_s=0)


@dataclass
class RunningPhone:
    """An agent inside this process."""

    home: PhoneHome
    stop: asyncio.Event
    ended: asyncio.Task[str | None]
    abandoned: bool = False
    """Whether its radio is not to be waited for at the end."""

    def sent(self) -> list[str]:
        """The attempts that its radio performed, in order."""
        return radio_lines(self.home.folder)


def radio_lines(home: Path) -> list[str]:
    try:
        lines = (home / "radio.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line)["attempt_id"] for line in lines]


@asynccontextmanager
async def running_phone(
    gateway: FakeGateway,
    folder: Path,
    *,
    key: str | None = KEY,
    limits: Limits = LIMITS,
    delay_ms: int = 2,
    delivery_ms: int = 5,
) -> AsyncIterator[RunningPhone]:
    home = PhoneHome(folder)
    home.prepare()
    settings = Settings(
        url=gateway.url,
        enrolment_key=key,
        home=folder,
        name="test",
        delay_ms=delay_ms,
        delivery_ms=delivery_ms,
        limits=limits,
    )
    with home.locked():
        journal = Journal(home.journal, os.urandom(8).hex())
        stop = asyncio.Event()
        ended = asyncio.create_task(run_phone(settings, home, journal, stop))
        agent = RunningPhone(home, stop, ended)
        try:
            yield agent
        finally:
            stop.set()
            if agent.abandoned:
                ended.cancel()
            await asyncio.wait((ended,), timeout=15)
            journal.close()
            if not agent.abandoned:
                ended.result()


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as running:
        yield running


Start = Callable[..., Awaitable[RunningPhone]]


@pytest.fixture
async def start(gateway: FakeGateway, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a phone that is stopped after the test."""
    async with AsyncExitStack() as stack:

        async def begin(**more: object) -> RunningPhone:
            started = await stack.enter_async_context(running_phone(gateway, tmp_path / "phone", **more))  # type: ignore[arg-type]
            await until(lambda: gateway.connections)
            return started

        yield begin


async def test_it_enrols_once_and_uses_the_token_from_then_on(gateway: FakeGateway, tmp_path: Path) -> None:
    async with running_phone(gateway, tmp_path / "phone") as agent:
        await until(agent.home.connected.exists)
        gateway.cut()
        await until(lambda: len(gateway.hellos) == 2)
    async with running_phone(gateway, tmp_path / "phone", key=None):
        await until(lambda: len(gateway.hellos) == 3)
    first, *others = gateway.hellos
    assert (first.enrolment_key, first.token) == (KEY, None)
    assert {hello.token for hello in others} == set(gateway.tokens)
    assert all(hello.enrolment_key is None for hello in others)
    assert len({hello.journal for hello in gateway.hellos}) == 1
    assert [sim.slot for sim in first.sims] == [1, 2]
    assert not agent.home.connected.exists()


async def test_a_refused_token_falls_back_to_the_key(gateway: FakeGateway, start: Start) -> None:
    await start()
    gateway.tokens.clear()
    gateway.cut()
    await until(lambda: len(gateway.hellos) == 3 and gateway.connections)
    assert gateway.hellos[1].token is not None
    assert gateway.hellos[2].enrolment_key == KEY


async def test_it_stops_where_it_is_not_wanted(gateway: FakeGateway, tmp_path: Path) -> None:
    async with running_phone(gateway, tmp_path / "phone", key="wrong") as agent:
        assert "unauthorized" in (await asyncio.wait_for(agent.ended, 10) or "")
    async with running_phone(gateway, tmp_path / "phone", key=None) as agent:
        assert "enrolment key" in (await asyncio.wait_for(agent.ended, 10) or "")
    assert len(gateway.hellos) == 1


async def test_it_comes_back_when_told_to(gateway: FakeGateway, start: Start) -> None:
    gateway.byes = [phone.Bye(code="unavailable", message="later", retry_after_s=0.05)] * 3
    await start()
    assert len(gateway.hellos) == 4


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
    for part in range(10):
        await until(lambda part=part: len(agent.sent()) >= 12 * part)  # type: ignore[misc]
        gateway.cut()
        await until(lambda: gateway.connections)
    await until(lambda: all("delivered" in gateway.states(job.attempt) for job in jobs), 30)
    assert sorted(agent.sent()) == sorted(job.attempt for job in jobs)


async def test_a_silent_gateway_is_left(gateway: FakeGateway, start: Start) -> None:
    gateway.ping_s = 0.05
    gateway.silent.add(phone.Ping)
    await start(limits=Limits(backoff_base_s=0.01, backoff_cap_s=0.01))
    await until(lambda: len(gateway.hellos) == 2)
    assert gateway.count(phone.Ping) >= 1


async def test_a_gateway_that_never_welcomes_is_left(gateway: FakeGateway, tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    gateway.port = server.sockets[0].getsockname()[1]
    limits = Limits(connect_s=0.1, backoff_base_s=0.01, backoff_cap_s=0.01)
    async with server, running_phone(gateway, tmp_path / "phone", limits=limits):
        await until(lambda: len(heard) >= 2)


async def test_frames_of_later_versions_are_ignored_and_nonsense_is_not(gateway: FakeGateway, start: Start) -> None:
    await start()
    (connection,) = gateway.connections
    await connection.send('{"type": "horoscope", "sign": "leo"}')
    await gateway.send(phone.Ping(n=9))
    await until(lambda: gateway.count(phone.Pong) == 1)
    assert len(gateway.hellos) == 1
    await connection.send('{"type": "jobs", "jobs": 5}')
    await until(lambda: len(gateway.hellos) == 2)


async def test_stopping_finishes_the_send_and_flushes_its_reports(gateway: FakeGateway, start: Start) -> None:
    jobs = [new_job(1) for _ in range(4)]
    agent = await start(delay_ms=150, delivery_ms=50, limits=PATIENT)
    await gateway.offer(*jobs)
    await until(lambda: agent.sent() and len(gateway.attempts("taken")) == 2)
    agent.stop.set()
    assert await asyncio.wait_for(agent.ended, 10) is None
    assert len(agent.sent()) == 1
    assert gateway.states(agent.sent()[0]) == ["sent", "delivered"]


async def test_stopping_without_a_gateway_does_not_wait(gateway: FakeGateway, start: Start) -> None:
    gateway.silent.add(phone.Report)
    job = new_job()
    agent = await start(limits=PATIENT)
    await gateway.offer(job)
    await until(lambda: gateway.count(phone.Report) >= 1)
    await gateway.stop()
    gateway.cut()
    await until(lambda: not agent.home.connected.exists())
    agent.stop.set()
    await asyncio.wait_for(agent.ended, 2)


@asynccontextmanager
async def agent_process(gateway: FakeGateway, folder: Path, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    folder.parent.mkdir(exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SMSFLEET_")},
        "SMSFLEET_PHONE_URL": gateway.url,
        "SMSFLEET_PHONE_ENROLMENT_KEY": KEY,
        "SMSFLEET_PHONE_HOME": str(folder),
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", env=environment, cwd=PROJECT, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


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
    for part in range(1, 4):
        async with agent_process(gateway, folder, SMSFLEET_PHONE_DELAY_MS="3"):
            await until(lambda part=part: len(radio_lines(folder)) >= 30 * part)  # type: ignore[misc]
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
