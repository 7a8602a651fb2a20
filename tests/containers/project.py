"""One run of docker-compose.yml as a user runs it: a copy of the tree, commands in it, and what comes back over TLS."""

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import yaml

from deploy.local.paths import PROJECT
from deploy.local.ports import free_port
from tests.support.counter import Count, count
from tests.support.http import FORM, Broken, Response, ask, form, query
from tests.support.waiting import until

COMMAND_S = 600.0
LEFT_OUT = (".git", ".venv", ".env", ".smsfleet", ".*_cache", "__pycache__", ".hypothesis", "node_modules")
PHONE = "/var/lib/smsfleet/phones/demo"
DEPENDENCIES = ("postgres", "nats", "valkey")
SERVICES = ("auth", "dispatcher", "webhooks", "gateway")

BUILD_NETWORK = os.environ.get("SMSFLEET_TEST_BUILD_NETWORK", "")
"""Where building an image reaches the package index only by a certain network, that network."""


class Project:
    """A clone with a compose project, ports, networks and an image of its own; nobody else's is touched."""

    def __init__(self, folder: Path) -> None:
        """Copies the tree into `folder`; starts nothing."""
        name = f"smsfleet-test-{secrets.token_hex(3)}"
        self.folder = folder
        self.http_port, self.port = free_port(), free_port()
        self._image = f"{name}:test"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")},
            "COMPOSE_PROJECT_NAME": name,
            "SMSFLEET_IMAGE": self._image,
        }
        self._tls: ssl.SSLContext | None = None
        self._key = ""
        self._first_image = ""
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))

    @property
    def base_url(self) -> str:
        """Where programs call it."""
        return f"https://localhost:{self.port}"

    @property
    def key(self) -> str:
        """The API key of its first account, once it is set up."""
        assert self._key
        return self._key

    @property
    def tls(self) -> ssl.SSLContext:
        """Trusts the root certificate that it gave out, and no other."""
        assert self._tls is not None
        return self._tls

    async def run(self, *words: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs a command in the clone to its end; fails with its words where it fails and `check` is set."""
        done = await asyncio.to_thread(
            subprocess.run,
            words,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done

    async def compose(self, *words: str) -> str:
        """What `docker compose` says on its standard output."""
        return (await self.run("docker", "compose", *words)).stdout

    async def start(self) -> None:
        """`./deploy/init` and `docker compose up`, as the README has them, until everything is healthy."""
        if BUILD_NETWORK:
            # Only what the builder needs here; init finds the image then.
            await self._build_with_network()
        await self.run(
            *("./deploy/init", "--host", "localhost", "--bind", "127.0.0.1"),
            *("--http-port", str(self.http_port), "--https-port", str(self.port)),
        )
        # Without a .venv init made it, to make the secrets with; `up --build` gives its name to another one.
        first = await self.run("docker", "image", "inspect", "--format", "{{.Id}}", self._image)
        self._first_image = first.stdout.strip()
        with (self.folder / ".env").open("a") as settings:
            settings.write(self._networks())
        await self.up("--build")

    async def up(self, *words: str, profile: str = "") -> None:
        """`docker compose up`, and the root certificate by the way that phones get it."""
        try:
            await self.compose("--profile", profile, "up", "--detach", "--wait", *words)
        except AssertionError as problem:
            problem.add_note((await self.run("docker", "compose", "ps", "--all")).stdout)
            problem.add_note((await self.run("docker", "compose", "logs", "--no-color", "--tail", "5")).stdout)
            raise
        answer = await ask(f"http://127.0.0.1:{self.http_port}", "GET", "/ca.crt", headers={"Host": "localhost"})
        self._tls = ssl.create_default_context(cadata=answer.body.decode())

    async def set_up(self, *words: str) -> dict[str, Any]:
        """What `docker compose run --rm setup --json` tells."""
        told: dict[str, Any] = json.loads(await self.compose("run", "--rm", "--no-TTY", "setup", "--json", *words))
        self._key = told["api_key"]
        return told

    async def cli(self, *words: str) -> Any:
        """What a command of `smsfleet` says as JSON, run as docs/operations/compose.md has it."""
        return json.loads(
            await self.compose("run", "--rm", "--no-TTY", "--entrypoint", "smsfleet", "setup", *words, "--json")
        )

    async def end(self) -> None:
        """Removes containers, networks, volumes and the image, and finds none of them left."""
        if (self.folder / ".env").exists():
            await self.compose("--profile", "demo", "--profile", "setup", "down", "--volumes", "--timeout", "5")
        await self.run("docker", "image", "rm", "--force", self._image, self._first_image, check=False)
        mine = f"label=com.docker.compose.project={self._environment['COMPOSE_PROJECT_NAME']}"
        for kind in ("container", "network", "volume"):
            left = await self.run("docker", kind, "ls", "--quiet", "--filter", mine, *_all(kind))
            assert left.stdout == "", f"{kind}: {left.stdout}"

    async def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers."""
        return (await self.compose("ps", "--quiet", service)).split()

    async def get(self, path: str, **parameters: object) -> Response:
        """A GET with the first account's key."""
        return await ask(self.base_url, "GET", query(path, apikey=self.key, **parameters), tls=self.tls)

    async def send(self, text: str, to: str = "+15551230000") -> str:
        """Sends a text, which must be accepted, and returns its guid."""
        body = form(apikey=self.key, recipients=to, message=text)
        answer = await ask(self.base_url, "POST", "/sendsms/", body=body, headers=FORM, tls=self.tls)
        assert answer.status == 200, answer
        return str(answer.json()["result"]["id"])

    async def radio(self) -> list[dict[str, Any]]:
        """The sends that the demo phone's radio performed: the whole lines of its file."""
        told = await self.compose("exec", "--no-TTY", "demo-phone", "cat", f"{PHONE}/radio.jsonl")
        return [json.loads(line) for line in told.rpartition("\n")[0].splitlines()]

    async def arrive(self, *texts: str) -> None:
        """Texts arrive at the demo phone; its spool is on a volume, so it hears of them whatever runs."""
        script = "import sys; from pathlib import Path; from agent.incoming import drop\n"
        script += f"for text in sys.argv[1:]: drop(Path({PHONE!r}), '+15557654321', text)"
        await self.compose("exec", "--no-TTY", "demo-phone", "python", "-c", script, *texts)

    async def at_the_sink(self) -> list[str]:
        """The texts that the demo's receiver was told of, as often as it was told."""
        ask_it = (
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8099/received', timeout=5).read().decode())"
        )
        bodies = json.loads(await self.compose("exec", "--no-TTY", "demo-sink", "python", "-c", ask_it))
        return [found[1] for body in bodies if (found := re.search(r'"message": ?"([^"]*)"', body))]

    async def answers_again(self, within_s: float = 60.0) -> None:
        """Waits until Caddy and a gateway that is ready answer."""

        async def ready() -> bool:
            try:
                return (await ask(self.base_url, "GET", "/health/ready", tls=self.tls)).status == 200
            except (Broken, OSError, TimeoutError):
                return False

        await until(ready, "the gateway is ready behind Caddy", within_s)

    async def sent_once(self, answers: list[dict[str, Any]], within_s: float = 120.0) -> None:
        """Waits until all that was accepted was sent and nothing is under way, and finds nothing doubled."""
        asked = {hashlib.sha256(each["text"].encode()).hexdigest() for each in answers}

        async def counted() -> Count:
            return count(answers, [line for line in await self.radio() if line["text_sha256"] in asked])

        async def all_sent() -> bool:
            return not (await counted()).lost

        try:
            await until(all_sent, "all that was accepted was sent", within_s)
        except AssertionError as problem:
            problem.add_note(str(await counted()))
            problem.add_note(await self.compose("ps", "--all"))
            problem.add_note(await self.compose("logs", "--no-color", "--tail", "15", "demo-phone", "gateway"))
            raise

        async def at_rest() -> bool:
            rows = (await self.get("/log/sent/sms/", limit=1000)).json()["result"]["sms"]
            return all(row["status"] != "Pending" for row in rows)

        await until(at_rest, "nothing is under way", within_s)
        result = await counted()
        assert result.right, result

    async def _build_with_network(self) -> None:
        override = self.folder / "docker-compose.build.yml"
        services = yaml.safe_load((self.folder / "docker-compose.yml").read_text())["services"]
        built = [name for name, each in services.items() if "build" in each]
        lines = [f"  {name}: {{build: {{network: {BUILD_NETWORK}}}}}" for name in built]
        override.write_text("\n".join(["services:", *lines, ""]))
        self._environment["COMPOSE_FILE"] = f"docker-compose.yml:{override.name}"
        self._environment["DOCKER_BUILDKIT"] = "1"
        where = ("--network", BUILD_NETWORK, "--file", "deploy/Dockerfile")
        await self.run("docker", "build", "--quiet", *where, "--tag", self._image, ".")

    def _networks(self) -> str:
        """Networks of its own, so that it can run beside an installation."""
        first, second = 128 + secrets.randbelow(80), secrets.randbelow(256)
        return f"SMSFLEET_EDGE_NET=10.{first}.{second}.0/24\nSMSFLEET_DEMO_PREFIX=10.{first + 1}.{second}\n"


def _all(kind: str) -> tuple[str, ...]:
    return ("--all",) if kind == "container" else ()
