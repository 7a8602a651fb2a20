"""`smsfleet up` and its fellows do what a newcomer and a script rely on."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import control, placement, postgres
from deploy.local.paths import PROJECT, Home
from deploy.local.processes import Mark, started
from tests.support.local import Installation

PATIENCE_S = 30.0
SERVICES = ["gateway", "dispatcher", "webhooks", "auth"]
SERVERS = ["nats", "postgres", "valkey"]
LINK = re.compile(r"http://127\.0\.0\.1:\d+/dashboard/link/[0-9a-f]{64}\b")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that is up; each test leaves it so."""
    installation = Installation(tmp_path_factory.mktemp("local") / "home")
    installation.up()
    yield installation
    installation.remove()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Installation]:
    """An installation that was never started."""
    installation = Installation(tmp_path / "home")
    yield installation
    installation.remove()


def until(condition: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
    return result


def one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_up_tells_scripts_what_they_rely_on(running: Installation) -> None:
    state = running.state
    assert state["base_url"] == f"http://127.0.0.1:{running.port}"
    assert Mark(state["pid"], started(state["pid"])).alive
    assert [each["name"] for each in state["services"]] == SERVICES
    assert sorted(each["name"] for each in state["servers"]) == SERVERS
    assert "phone-1" in [each["name"] for each in state["phones"]]
    for each in state["services"]:
        assert each["pid"] > 0
        assert each["health_url"].startswith("http://127.0.0.1:")
        assert each["metrics_url"].endswith("/metrics")
    logs = {path.stem for path in (running.home / "logs").iterdir()}
    assert logs >= {*SERVICES, *SERVERS, "phone-1"}
    assert len((running.home / "secret.key").read_text()) == 64


def test_credentials_are_complete_and_private(running: Installation) -> None:
    credentials = running.credentials
    assert credentials["base_url"] == f"http://127.0.0.1:{running.port}"
    assert credentials["dashboard_url"] == f"{credentials['base_url']}/dashboard"
    assert len(credentials["api_key"]) == 48
    assert credentials["enrolment_key"]
    for name in ("credentials.json", "run.json", "secret.key", "secrets/connections.json"):
        assert stat.S_IMODE((running.home / name).stat().st_mode) == 0o600, name


def test_status_tells_each_process(running: Installation) -> None:
    done = running.run("status", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert told["ready"] is True
    assert {each["name"] for each in told["processes"]} >= {*SERVICES, *SERVERS, "phone-1"}
    assert running.run("status").returncode == 0


def test_up_again_says_that_it_runs_already(running: Installation) -> None:
    before = running.state["pid"]
    done = running.run("up")
    assert done.returncode == 0
    assert f"already running (process {before})" in done.stdout
    assert LINK.search(done.stdout) is not None
    again = running.run("up", "--detach")
    assert again.returncode == 0
    # Each start makes one of its own.
    assert LINK.findall(again.stdout) != LINK.findall(done.stdout)
    assert running.state["pid"] == before


def test_logs_show_each_process(running: Installation) -> None:
    assert running.run("logs").returncode == 0
    done = running.run("logs", "nats", "--json", "-n", "2")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["service"] for each in lines] == ["nats", "nats"]
    unknown = running.run("logs", "nonsense")
    assert unknown.returncode == 1
    assert "there is no log of nonsense" in one_line(unknown.stderr)


def test_doctor_finds_a_running_installation_well(running: Installation) -> None:
    done = running.run("doctor", "--json")
    told = json.loads(done.stdout)
    assert told["well"] is True, done.stdout
    assert done.returncode == 0
    assert {"python", "postgres", "nats", "valkey", "dbmate", "disk", "gateway"} <= {
        each["subject"] for each in told["findings"]
    }


def test_migrate_and_provision_may_be_run_again(running: Installation) -> None:
    for command in ("migrate", "provision"):
        done = running.run(command)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*SERVICES, *SERVERS, "phone-1"])
def test_whatever_is_killed_is_started_again(running: Installation, name: str) -> None:
    before = running.service(name)
    os.kill(before["pid"], signal.SIGKILL)

    def again() -> bool:
        now = running.service(name)
        return now["pid"] not in (0, before["pid"]) and now["restarts"] > before["restarts"]

    until(again)
    until(lambda: running.run("status").returncode == 0)


def test_an_account_gets_a_phone_while_everything_runs(running: Installation) -> None:
    name = control.add_phone(Home(running.home), "Ana & Söhne", running.credentials["enrolment_key"])
    assert name is not None
    assert name.startswith("phone-ana-s-hne")
    assert running.service(name)["pid"] > 0


def test_down_stops_everything_and_up_finds_everything_again(stopped: Installation) -> None:
    # Its output ends only when nobody holds the pipe any more.
    with subprocess.Popen(
        [*stopped.command, "up", "--detach"],
        env=stopped.environment(),
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        out, _ = process.communicate(timeout=PATIENCE_S * 3)
    assert process.returncode == 0, out
    assert "curl" in out
    pid = stopped.state["pid"]
    assert os.getsid(pid) == pid
    held = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    assert not any(each.startswith("pipe:") for each in held), held
    key = stopped.credentials
    # With the supervisor and the phone; what ends while the system runs is started again.
    until(lambda: len(stopped.processes()) >= len(SERVICES) + len(SERVERS) + 2)

    assert stopped.run("down").returncode == 0
    assert stopped.processes() == {}
    assert not (stopped.home / "run.json").exists()
    for command in ("down", "status", "migrate"):
        assert stopped.run(command).returncode == 3, command
    assert "not running" in json.loads(stopped.run("migrate", "--json").stdout)["error"]

    done = stopped.run("up", "--detach", "--json", SMSFLEET_PHONE="0")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["phones"] == []
    assert json.loads(done.stdout)["api_key"] == key["api_key"]
    assert stopped.state["phones"] == []
    assert stopped.credentials == key


def test_what_a_killed_supervisor_left_is_ended_by_the_next_up_or_down(stopped: Installation) -> None:
    def kill_supervisor() -> list[Mark]:
        state = stopped.state
        groups = (state["services"], state["servers"], state["phones"])
        marks = [Mark(each["pid"], each["started"]) for group in groups for each in group]
        # Halted, a process cannot obey the signal that it gets when its supervisor dies.
        os.kill(marks[0].pid, signal.SIGSTOP)
        os.kill(state["pid"], signal.SIGKILL)
        until(lambda: not Mark(state["pid"], state["started"]).alive)
        assert marks[0].alive
        return marks

    stopped.up()
    marks = kill_supervisor()
    assert stopped.run("status").returncode == 3
    assert "left over" in stopped.run("doctor").stdout
    stopped.up()
    assert not any(mark.alive for mark in marks)
    assert stopped.run("status").returncode == 0
    kill_supervisor()
    assert stopped.run("down").returncode == 0
    assert stopped.processes() == {}


def test_ctrl_c_stops_everything_in_order(stopped: Installation) -> None:
    with stopped.start() as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        lines += process.stdout.readlines()
        assert process.wait(PATIENCE_S) == 0
    assert "stopped" in lines[-1], lines
    assert stopped.processes() == {}


def test_ctrl_c_during_the_start_leaves_nothing(stopped: Installation) -> None:
    with stopped.start() as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait(PATIENCE_S) == 1
    assert stopped.processes() == {}


def test_a_busy_port_is_told_in_one_line(stopped: Installation) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", stopped.port))
        holder.listen()
        for words in (("up",), ("up", "--detach")):
            done = stopped.run(*words)
            assert done.returncode == 1
            assert f"port {stopped.port} on 127.0.0.1 is in use" in one_line(done.stderr)
            assert "SMSFLEET_PORT" in done.stderr
    assert stopped.processes() == {}


UNLUCKY = """
import sys
from deploy.local import nats, ports, valkey, workers

held, turns, choose = int(sys.argv.pop(1)), iter(sys.argv.pop(1)), ports.free_port

def free_port():
    return held if next(turns, "free") == "t" else choose()

nats.free_port = valkey.free_port = workers.free_port = free_port
from services.__main__ import main
sys.exit(main())
"""


def test_a_port_that_is_taken_just_after_it_was_chosen_is_given_up_for_another(stopped: Installation) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        # NATS takes two and Valkey one, then the four services one each: somebody is quicker with NATS's own,
        # with Valkey's, and with that of the third service.
        turns = "t.." + "..t" + "..." + "..t."
        with stopped.start([sys.executable, "-c", UNLUCKY, port, turns, "up"]) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            told = [line.split() for line in lines if "found its port in use" in line]
            assert [words[words.index("found") - 1] for words in told] == ["nats", "valkey", "webhooks"], lines
            assert stopped.run("status").returncode == 0
            os.killpg(process.pid, signal.SIGINT)
            process.stdout.read()
            assert process.wait(PATIENCE_S) == 0
        assert stopped.processes() == {}


def test_damaged_data_are_told_in_one_line(stopped: Installation) -> None:
    home = Home(stopped.home)
    home.make()
    postgres.install(home, lambda _: None)
    outside = placement.outside_area(home)
    data = (outside if outside.exists() else stopped.home / "postgres") / "data"
    (data / "global" / "pg_control").write_bytes(b"")
    done = stopped.run("up", "--detach")
    assert done.returncode == 1
    assert "put a backup there" in one_line(done.stderr)
    assert stopped.processes() == {}


def test_a_wrong_setting_is_named(stopped: Installation) -> None:
    done = stopped.run("up", SMSFLEET_PORT="many")
    assert done.returncode == 1
    assert "SMSFLEET_PORT is 'many'" in one_line(done.stderr)


def test_wrong_usage_has_its_own_exit_code(stopped: Installation) -> None:
    assert stopped.run("nonsense").returncode == 2
    assert stopped.run("up", "--nonsense").returncode == 2
