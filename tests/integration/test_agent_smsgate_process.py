"""`python -m agent` as the app's phone: a process with a folder, killed without a word and started again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import JournalError
from agent.incoming import drop
from agent.journal import Journal
from agent.smsgate.memory import Memory
from tests.support.fake_gateway import until
from tests.support.fake_smsgate_server import TOKEN, FakeSmsgateServer, fake_smsgate_server

PROJECT = Path(__file__).parents[2]


@pytest.fixture
async def server() -> AsyncIterator[FakeSmsgateServer]:
    async with fake_smsgate_server() as running:
        yield running


@contextmanager
def process(server: FakeSmsgateServer, folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "SMSFLEET_PHONE_PROTOCOL": "smsgate",
        "SMSFLEET_PHONE_URL": server.url,
        "SMSFLEET_PHONE_ENROLMENT_KEY": TOKEN,
        "SMSFLEET_PHONE_HOME": str(folder),
        "SMSFLEET_PHONE_DELIVERY_MS": "10",
        **more,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "agent"], cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def performed(folder: Path) -> list[str]:
    return [json.loads(line)["attempt_id"] for line in (folder / "radio.jsonl").read_text().splitlines()]


async def test_a_killed_app_goes_on_with_what_it_pulled(server: FakeSmsgateServer, tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    server.hook("sms:received")
    server.settings = {"messages": {"send_interval_min": 3600, "send_interval_max": 3600}}
    with process(server, folder, SMSFLEET_PHONE_DELAY_MS="60000") as first:
        await until(lambda: (folder / "connected").exists() and server.asked("GET", "/settings"))
        server.add("in-radio")
        await server.say("MessageEnqueued")
        await until(lambda: "Processed" in server.states("in-radio"))
        server.add("waiting")
        await server.say("MessageEnqueued")
        await until(lambda: len(server.states("in-radio")) == 2)
        first.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.wait, 10)
    server.listed.clear()
    with process(server, folder) as second:
        await until(lambda: "Delivered" in server.states("waiting"))
        drop(folder, "+15557654321", "hello", 2)
        await until(lambda: server.calls)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 10) == 0
    assert performed(folder) == ["in-radio", "waiting"]
    assert server.calls[0].json["payload"]["message"] == "hello"
    assert len(server.asked("POST", "/device")) == 1
    assert not (folder / "connected").exists()
    assert (os.stat(folder / "journal.db").st_mode & 0o777) == 0o600  # noqa: PTH116


async def test_a_kind_of_phone_refuses_the_others_folder(server: FakeSmsgateServer, tmp_path: Path) -> None:
    Journal(tmp_path / "socket.db", "id").close()
    with pytest.raises(JournalError, match="another kind of phone"):
        Memory(tmp_path / "socket.db")
    Memory(tmp_path / "smsgate.db").close()
    with pytest.raises(JournalError, match="another version"):
        Journal(tmp_path / "smsgate.db", "id")


async def test_wrong_settings_are_named(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "SMSFLEET_PHONE_PROTOCOL": "smsgate", "SMSFLEET_PHONE_URL": "ws://here/"}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "agent"], cwd=PROJECT, env=environment, capture_output=True, timeout=20
    )
    assert done.returncode == 2
    assert b"SMSFLEET_PHONE_URL must be http:// or https://host[:port]/mobile/v1." in done.stderr
