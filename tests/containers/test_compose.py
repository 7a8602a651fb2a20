"""What a newcomer does with docker compose works as docs/operations/compose.md has it."""

import hashlib
import ssl
import subprocess
from pathlib import Path

import pytest

from deploy.local.paths import PROJECT
from tests.containers.project import DEPENDENCIES, SERVICES, Project
from tests.support.http import ask
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)


def test_without_secrets_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text((PROJECT / "docker-compose.yml").read_text())
    done = subprocess.run(
        ["docker", "compose", "up", "--detach"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "run ./deploy/init first" in done.stderr


async def test_everything_runs_and_nothing_but_caddy_is_published(project: Project) -> None:
    told = await project.compose("ps", "--format", "{{.Service}} {{.Health}} {{.Ports}}")
    lines = [line.split(" ", 2) for line in told.splitlines()]
    names = [name for name, *_ in lines]
    assert set(names) == {*SERVICES, *DEPENDENCIES, "caddy", "nats-health", "demo-phone", "demo-sink"}
    assert names.count("gateway") == 2
    # The image of NATS cannot ask itself; nats-health does.
    assert {name for name, health, _ in lines if health != "healthy"} == {"nats"}
    published = {name for name, _, ports in lines if "->" in ports}
    assert published == {"caddy"}
    assert all(part.startswith("127.0.0.1:") for line in lines for part in line[2].split(", ") if "->" in part)


async def test_setup_tells_the_same_keys_again(project: Project) -> None:
    first, second = await project.set_up(), await project.set_up()
    links = [told.pop("dashboard_link") for told in (first, second)]
    assert first == second
    # Each is good once.
    assert len(set(links)) == 2
    assert all(link.startswith(f"{project.base_url}/dashboard/link/") for link in links)
    assert first["base_url"] == project.base_url
    assert (project.folder / ".env").stat().st_mode & 0o777 == 0o600
    again = await project.run("./deploy/init", check=False)
    assert again.returncode == 1
    assert "not overwritten" in again.stderr


async def test_the_demo_sends_and_receives(project: Project) -> None:
    demo = (await project.set_up("--demo"))["demo"]
    assert demo["guid"] in {line["message_id"] for line in await project.radio()}
    assert demo["text"] in await project.at_the_sink()


async def test_a_program_sends_and_receives_through_caddys_tls(project: Project) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await ask(project.base_url, "GET", "/health/ready", tls=ssl.create_default_context())
    text = "through Caddy"
    guid = await project.send(text)

    async def delivered() -> bool:
        (row,) = (await project.get("/log/sent/sms/", guid_message=guid)).json()["result"]["sms"]
        return bool(row["status"] == "Success")

    await until(delivered, "the log says Success")
    hashed = hashlib.sha256(text.encode()).hexdigest()
    assert [line["message_id"] for line in await project.radio() if line["text_sha256"] == hashed] == [guid]
    await project.arrive("in through Caddy")

    async def in_the_inbox() -> bool:
        rows = (await project.get("/getsms/")).json()["result"]["sms"]
        return "in through Caddy" in {row["message"] for row in rows}

    await until(in_the_inbox, "the text is in the inbox")


async def test_commands_of_the_page_run(project: Project) -> None:
    assert [each["name"] for each in (await project.cli("account", "list"))["accounts"]] == ["default"]
    assert (await project.cli("enrolment", "create"))["enrolment_key"]


async def test_without_tls_there_is_the_way_to_tls_and_the_root_certificate_only(project: Project) -> None:
    plain, host = f"http://127.0.0.1:{project.http_port}", {"Host": "localhost"}
    answer = await ask(plain, "GET", "/sendsms/?x=1", headers=host)
    assert (answer.status, answer.headers["location"]) == (308, f"{project.base_url}/sendsms/?x=1")
    root = await ask(plain, "GET", "/ca.crt", headers=host)
    assert root.headers["content-type"] == "application/x-x509-ca-cert"
    own = await project.compose("exec", "--no-TTY", "caddy", "cat", "/data/caddy/pki/authorities/local/root.crt")
    assert root.body.decode() == own
