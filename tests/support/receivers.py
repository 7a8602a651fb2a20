"""Runs an example receiver as its readers would, and holds it to what the documentation promises of it."""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from uuid import uuid4

from services.webhooks.client import Client, opened_client
from services.webhooks.examples import EXAMPLES
from services.webhooks.formats import v2_body
from services.webhooks.signing import new_secret, sign
from services.webhooks.targets import Guard
from tests.support.system import System
from tests.support.waiting import until

EXAMPLE_RECEIVERS = Path(__file__).parents[2] / "examples" / "receivers"
BODY = v2_body(EXAMPLES["sms.received"])
LOOPBACK = Guard([ip_network("127.0.0.0/8")])


@dataclass(frozen=True)
class Running:
    """An example that listens; what it prints goes to a file."""

    url: str
    output: Path


@asynccontextmanager
async def running(command: Sequence[str], secrets: Sequence[str], folder: Path) -> AsyncIterator[Running]:
    """The command with `PORT` replaced, in a folder of its own, until the context ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    output = folder / "output"
    with output.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *(part.replace("PORT", str(port)) for part in command),
            env={**os.environ, "WEBHOOK_SECRET": " ".join(secrets), "TMPDIR": str(folder)},
            stdout=stream,
            stderr=stream,
        )

    async def listens() -> bool:
        assert process.returncode is None, output.read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens, f"{command[0]} listens")
        yield Running(f"http://127.0.0.1:{port}/", output)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def keeps_its_promises(command: Sequence[str], folder: Path) -> None:
    """What is signed with either of two secrets is taken once; everything else is refused and changes nothing."""
    new, old = new_secret(), "an-old-one-of-the-owner"
    now = int(time.time())
    ids = [str(uuid4()) for _ in range(2)]
    async with running(command, [new, old], folder) as example, opened_client(LOOPBACK) as client:

        async def status(secrets: list[str], id: str = ids[0], at: int = now, body: bytes = BODY) -> int | None:
            return await _post(client, example.url, id, at, sign(secrets, id, at, BODY), body)

        stranger = new_secret()
        assert await status([stranger]) == 401
        assert await status([new], at=now - 400) == 401
        assert await status([new], at=now + 400) == 401
        assert await status([new], body=BODY.replace(b"hello", b"other")) == 401
        assert await _post(client, example.url, ids[0], now, "", BODY) == 401
        assert await _post(client, example.url, ids[0], now, "v1,Gr\xfc\xdfe v1", BODY) == 401
        assert (await client.post(example.url, {}, BODY)).status == 401
        assert await status([stranger, new]) == 202
        assert await status([new], at=now + 1) == 200
        assert await status([old], id=ids[1]) == 202

        async def printed() -> bool:
            return example.output.read_text().count('"sms.received"') >= 2

        await until(printed, "both events were printed")
        lines = [line for line in example.output.read_text().splitlines() if '"sms.received"' in line]
        assert [json.loads(line[line.index("{") :]) for line in lines] == [json.loads(BODY)] * 2


async def takes_a_real_delivery(command: Sequence[str], folder: Path, system: System) -> None:
    """A text that comes in at a phone of the running system arrives at the example, signed with its secret."""
    secret, number = new_secret(), "+15551237778"
    async with running(command, [secret], folder) as example:
        wish = {"url": example.url, "format": "v2", "secret": secret, "filter": {"types": ["sms.received"]}}
        headers = {"Authorization": f"Bearer {system.key}", "Content-Type": "application/json"}
        made = await system.post("/v1/webhooks", json.dumps(wish).encode(), headers)
        assert made.status == 201, made
        try:
            await system.cli("phone", "receive", "--from", number, "to the example")

            async def printed() -> bool:
                said = example.output.read_text()
                return number in said and "to the example" in said

            await until(printed, "the example printed the text")
        finally:
            await system.cli("webhook", "delete", made.json()["id"])


async def _post(client: Client, url: str, id: str, at: int, signature: str, body: bytes) -> int | None:
    headers = {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": signature}
    outcome = await client.post(url, headers, body)
    return outcome.status
