"""docker-compose.yml keeps its promises: nothing published but Caddy, everything bounded, no usable default."""

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]
import pytest
import yaml

from deploy.compose import secrets
from deploy.local.credentials import NATS_ROLES
from shared.db.privileges import SERVICES, passwords_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)["services"]
ONCE = {"migrate", "setup"}
LISTENS_TO_ITSELF = {"nats"}
"""Its image has no program that could ask it; nats-health does."""

CHANCE = re.compile(r"SECRET|PASSWORD|SEED")


def made(*options: str) -> dict[str, str]:
    """The variables of a new .env."""
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", "-m", "deploy.compose.secrets", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return dict(re.findall(r"^(\w+)=(.*)$", done.stdout, re.MULTILINE))


def test_only_caddy_is_published_and_where_the_owner_says() -> None:
    assert [name for name, each in COMPOSE.items() if "ports" in each] == ["caddy"]
    assert all(port.startswith("${SMSFLEET_BIND:-0.0.0.0}:") for port in COMPOSE["caddy"]["ports"])
    assert [name for name, each in COMPOSE.items() if each.get("network_mode") or each.get("privileged")] == []


@pytest.mark.parametrize("name", COMPOSE)
def test_every_container_is_bounded_watched_and_started_again(name: str) -> None:
    each = COMPOSE[name]
    assert set(each["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "no-new-privileges:true" in each["security_opt"]
    assert each["logging"]["options"]["max-size"]
    if name != "postgres":
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
    if name not in ONCE:
        assert each["restart"] == "unless-stopped"
    image, _, tag = each["image"].rpartition(":")
    assert tag.removesuffix("}") not in ("", "latest"), image
    # Our own image says for itself how it is.
    assert name in ONCE | LISTENS_TO_ITSELF or "healthcheck" in each or "SMSFLEET_IMAGE" in image


def test_one_service_builds_the_image_for_all() -> None:
    """Each build gives an image of another id, and `up` would recreate whatever runs an older one."""
    ours = {name for name, each in COMPOSE.items() if "SMSFLEET_IMAGE" in each["image"]}
    assert {name for name in ours if "build" in COMPOSE[name]} == {"migrate"}
    assert {name for name in ours if COMPOSE[name].get("pull_policy") == "never"} == ours - {"migrate"}


def test_the_store_of_nats_is_what_its_option_says() -> None:
    assert made()["SMSFLEET_NATS_STORE"] == str(2048 << 20)
    assert made("--nats-store-mb", "512")["SMSFLEET_NATS_STORE"] == str(512 << 20)


def test_nothing_secret_has_a_default() -> None:
    given = re.findall(r"\$\{(\w+)(:[-?][^}]*)?\}", TEXT)
    loose = {name for name, rest in given if CHANCE.search(name) and rest.startswith(":-")}
    assert loose == {"SMSFLEET_SECRET_KEY_OLD"}
    required = {name for name, rest in given if rest == ":?run ./deploy/init first"}
    assert {name for name, _ in given if CHANCE.search(name)} - loose <= required


def test_init_makes_all_that_compose_requires_and_nothing_twice() -> None:
    first, second = made(), made()
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert required <= set(first)
    chance = {name for name in first if CHANCE.search(name) or "_USER_" in name}
    assert len({first[name] for name in chance} | {second[name] for name in chance}) == 2 * len(chance)
    for role in NATS_ROLES:
        pair = nkeys.from_seed(bytearray(first[f"SMSFLEET_NATS_SEED_{role.upper()}"].encode()))
        assert pair.public_key.decode() == first[f"SMSFLEET_NATS_USER_{role.upper()}"]
    assert len(first["SMSFLEET_SECRET_KEY"]) == 64


def test_each_service_gets_its_own_credentials_only() -> None:
    for name in SERVICES:
        text = str(COMPOSE[name]["environment"])
        others = [other.upper() for other in (*SERVICES, "provision", "cli") if other != name]
        assert not re.search(rf"(SEED|PASSWORD)_({'|'.join(others)})\b", text)
        assert f"smsfleet_{name}:${{SMSFLEET_POSTGRES_PASSWORD_{name.upper()}:?" in text
        assert "${SMSFLEET_POSTGRES_PASSWORD:" not in text, "the owner's"
    assert set(passwords_of(COMPOSE["migrate"]["environment"]["SMSFLEET_DATABASE_PASSWORDS"])) == set(SERVICES)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ("localhost", "https://localhost", "internal")),
        (("--domain", "SMS.example.org"), ("sms.example.org", "https://sms.example.org", "acme")),
        (("--host", "192.168.1.5", "--https-port", "8443"), ("192.168.1.5", "https://192.168.1.5:8443", "internal")),
    ],
)
def test_init_knows_how_the_world_reaches_it(options: tuple[str, ...], expected: tuple[str, str, str]) -> None:
    told = made(*options)
    assert (told["SMSFLEET_HOST"], told["SMSFLEET_PUBLIC_URL"], told["SMSFLEET_CERTIFICATE"]) == expected
    assert told["SMSFLEET_CA_URL"] == (f"http://{expected[0]}/ca.crt" if expected[2] == "internal" else "")


@pytest.mark.parametrize(
    "options",
    [
        ("--domain", "a b"),
        ("--host", "x\ny"),
        ("--bind", "$(x)"),
        ("--https-port", "0"),
        ("--domain", "-x.org"),
        ("--nats-store-mb", "255"),
    ],
)
def test_init_takes_nothing_that_it_could_not_write_down(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        secrets.main(options)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_init_writes_a_private_file_once(tmp_path: Path) -> None:
    for name in ("deploy", "shared", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    script = tmp_path / "init"
    # The script goes to the folder above its own; beside links it must be a file of this folder.
    script.write_text((ROOT / "deploy" / "init").read_text().replace('/.."', '"'))

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", str(script)], env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False
        )

    first = run()
    assert first.returncode == 0, first.stderr
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text()
    again = run()
    assert again.returncode == 1
    assert "not overwritten" in again.stderr
    assert file.read_text() == kept
    assert {path.name for path in tmp_path.iterdir()} == {"deploy", "shared", ".venv", "init", ".env"}
