"""The whole system as a user has it: started by `smsfleet up --detach`, used by HTTP, by command and by phone."""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats.errors
from nats.aio.client import Client

from deploy.local import credentials
from deploy.local.paths import Home
from shared.bus.connection import opened
from tests.support.counter import lines
from tests.support.embedded import TESTS, admit_tests
from tests.support.freezing import frozen
from tests.support.http import FORM, Response, ask, form, query
from tests.support.local import Installation
from tests.support.servers import containers
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.containers import Containers

QUICK_PHONE = {"SMSFLEET_PHONE_DELAY_MS": "5", "SMSFLEET_PHONE_DELIVERY_MS": "20"}
ONE_ADDRESS = {"SMSFLEET_GUESSES_PER_MINUTE": "0", "SMSFLEET_TOKEN_RATE_PER_ADDRESS": "0"}
"""All tests call from the same address, and some of them guess."""

MOST_ROWS = 1000


class System(Installation):
    """One running installation and what its first account can do with it."""

    containers: "Containers | None" = None
    """Its servers, in that kind of run; None: it runs them itself."""
    screen = ""
    """What the last start printed for its user."""

    @property
    def command(self) -> list[str]:
        """The console script, as the README writes it."""
        return [str(Path(sys.executable).with_name("smsfleet"))]

    @property
    def base_url(self) -> str:
        """Where its programs call it."""
        return self.credentials["base_url"]

    @property
    def key(self) -> str:
        """The API key of its first account."""
        return self.credentials["api_key"]

    @property
    def connections(self) -> dict[str, Any]:
        """How its own programs reach its servers."""
        told: dict[str, Any] = json.loads((self.home / "secrets" / "connections.json").read_text())
        return told

    async def start_up(self) -> None:
        """Starts it as a person does; fails with its words and logs when it does not start."""
        done = await asyncio.to_thread(self.run, "up", "--detach")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.logs()}"
        self.screen = done.stdout

    async def stop(self) -> None:
        """Stops it in order."""
        done = await asyncio.to_thread(self.run, "down")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.logs()}"

    async def nats(self) -> Client:
        """A connection to its NATS that may do everything, as no role of the system may."""
        place = Home(self.home)
        if self.containers is None and admit_tests(place):
            os.kill(self.service("nats")["pid"], signal.SIGHUP)
        url, seed = self.connections["nats_url"], str(credentials.nats_seed_file(place, TESTS))

        async def admitted() -> bool:
            try:
                await (await opened(url, nkeys_seed=seed, connect_timeout=5, allow_reconnect=False)).close()
            except (nats.errors.Error, OSError):
                return False
            return True

        await until(admitted, "NATS admits the tests")
        return await opened(url, nkeys_seed=seed, connect_timeout=5)

    async def cli(self, *words: str) -> Any:
        """What a command says as JSON; fails when the command fails."""
        done = await asyncio.to_thread(self.run, *words, "--json")
        assert done.returncode == 0, f"smsfleet {' '.join(words)}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    async def account(self, name: str = "default") -> int:
        """The number of an account."""
        accounts = (await self.cli("account", "list"))["accounts"]
        return int(next(each["id"] for each in accounts if each["name"] == name))

    async def dead(self) -> list[dict[str, Any]]:
        """The dead letters."""
        letters: list[dict[str, Any]] = (await self.cli("dead", "list"))["letters"]
        return letters

    async def get(self, path: str, key: str | None = None, **parameters: object) -> Response:
        """A GET with this account's key, or another's."""
        return await ask(self.base_url, "GET", query(path, apikey=key or self.key, **parameters))

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] = FORM) -> Response:
        """A POST of exactly this body."""
        return await ask(self.base_url, "POST", path, body=body, headers=headers)

    async def send(self, text: str, to: str = "+15551230000", key: str | None = None, **more: object) -> str:
        """Sends a text as a client does, which must be accepted, and returns its guid."""
        body = form(apikey=key or self.key, recipients=to, message=text, **more)
        answer = await self.post("/sendsms/", body)
        assert answer.status == 200, answer
        result = answer.json()["result"]
        assert (result["error"], result["sent"]) == (0, "1"), result
        return str(result["id"])

    async def log(self, key: str | None = None, **parameters: object) -> list[dict[str, Any]]:
        """Rows of the log of sent messages."""
        answer = await self.get("/log/sent/sms/", key, **parameters)
        assert answer.status == 200, answer
        rows: list[dict[str, Any]] = answer.json()["result"]["sms"]
        return rows

    async def inbox(self, key: str | None = None, **parameters: object) -> list[dict[str, Any]]:
        """Rows of the inbox."""
        answer = await self.get("/getsms/", key, **parameters)
        assert answer.status == 200, answer
        rows: list[dict[str, Any]] = answer.json()["result"]["sms"]
        return rows

    async def succeeded(self, guid: str, key: str | None = None) -> dict[str, Any]:
        """Waits until the log says that the message was sent, and returns its row."""

        async def success() -> dict[str, Any] | None:
            rows = await self.log(key, guid_message=guid)
            return rows[0] if rows and rows[0]["status"] == "Success" else None

        return await until(success, f"the log says Success for {guid}")

    async def at_rest(self, within_s: float = 60.0) -> None:
        """Waits until no message of the first account is under way: then no radio will do anything more.

        One that waits for a time in the future is at rest too.
        """
        under_way: list[dict[str, Any]] = []

        async def rest() -> bool:
            now = time.time()
            rows = await self.log(limit=MOST_ROWS)
            under_way[:] = [each for each in rows if each["status"] == "Pending" and _due(each) <= now]
            return not under_way

        try:
            await until(rest, "all messages are at rest", within_s)
        except AssertionError as problem:
            problem.add_note(f"under way: {under_way[:5]}")
            raise

    def halted(self, server: str) -> contextlib.AbstractContextManager[None]:
        """`postgres`, `nats` or `valkey` stands still for the context's time: it is there and answers nothing."""
        if self.containers is not None:
            return self.containers.servers[server].halted()
        return frozen(self.service(server)["pid"])

    async def healthy(self, within_s: float = 60.0) -> None:
        """Waits until every process runs, answers and every phone is connected."""

        async def well() -> bool:
            for each in [*self.state["services"], *self.state["servers"]]:
                if not each["pid"] or not await _ready(each["health_url"]):
                    return False
            return all(_connected(self.home / "phones" / each["name"], each["pid"]) for each in self.state["phones"])

        await until(well, "every process is ready", within_s)

    @property
    def radio_files(self) -> list[Path]:
        """What each phone's radio writes, the phones in order of their names."""
        return [folder / "radio.jsonl" for folder in sorted((self.home / "phones").iterdir())]

    def radio(self, guid: str | None = None, text: str | None = None) -> list[dict[str, Any]]:
        """The sends that the radios performed: all, those of a message, or those of a text."""
        hashed = None if text is None else hashlib.sha256(text.encode()).hexdigest()
        return [
            line
            for line in lines(self.radio_files)
            if guid in (None, line["message_id"]) and hashed in (None, line["text_sha256"])
        ]


def _due(row: dict[str, Any]) -> int:
    return row["schedule_timestamp"] or 0


def _connected(phone: Path, pid: int) -> bool:
    try:
        return bool(json.loads((phone / "connected").read_text())["pid"] == pid)
    except FileNotFoundError:
        return False


async def _ready(url: str | None) -> bool:
    if url is None:
        return True
    base, _, path = url.rpartition("/health")
    try:
        return (await ask(base, "GET", "/health" + path, within_s=2)).status == 200
    except (OSError, TimeoutError):
        return False


@contextlib.asynccontextmanager
async def running_system(**settings: str) -> AsyncIterator[System]:
    """A started system in a folder of its own for the context's time; `settings` are SMSFLEET_* variables."""
    # A folder with a short path: sockets inside it have names of 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="smsfleet-"))
    try:
        async with containers(Home(folder / "home")) as servers:
            given = servers.settings if servers else {}
            system = System(folder / "home", **{**QUICK_PHONE, **ONE_ADDRESS, **given, **settings})
            system.containers = servers
            try:
                await system.start_up()
                yield system
            finally:
                await asyncio.to_thread(system.remove)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
