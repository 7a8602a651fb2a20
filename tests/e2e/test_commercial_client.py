"""The released client of the commercial service works with ours, and no byte of it is changed."""

import asyncio
import base64
import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

from tests.conftest import data_folder
from tests.support.commercial_host import CommercialHost, commercial_host
from tests.support.system import System
from tests.support.waiting import until

RELEASED = "2.0.1"


async def customers_program(host: CommercialHost, *words: str) -> dict[str, Any]:
    """Runs the customer's program to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(data_folder() / "commercial_client.py"),
        *words,
        env={"PATH": "/usr/bin:/bin", **host.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    told: dict[str, Any] = json.loads(out)
    return told


def test_the_client_is_the_released_one() -> None:
    distribution = importlib.metadata.distribution("smsmobileapi")
    assert distribution.version == RELEASED
    files = [file for file in distribution.files or [] if file.suffix == ".py"]
    assert files
    for file in files:
        assert file.hash is not None
        digest = hashlib.new(file.hash.mode, Path(file.locate()).read_bytes()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value, file


async def test_it_sends_and_reads(system: System, tmp_path: Path) -> None:
    received = "a reply for the released client"
    await system.cli("phone", "receive", "--from", "+15557654321", received)

    async def arrived() -> bool:
        return any(row["message"] == received for row in await system.inbox())

    await until(arrived, "the received text is in the inbox")

    text = "from the released client: é & 100%"
    async with commercial_host(system.base_url, tmp_path) as host:
        told = await customers_program(host, system.key, "+15559990001", text)
    assert host.refused == []
    assert host.accepted == 2

    result = told["sent"]["result"]
    assert (result["error"], result["sent"]) == (0, "1")
    await system.succeeded(result["id"])
    (line,) = system.radio(text=text)
    assert (line["message_id"], line["number"]) == (result["id"], "+15559990001")

    rows = told["received"]["result"]["sms"]
    assert [row["number"] for row in rows if row["message"] == received] == ["+15557654321"]


async def test_a_wrong_key_raises_what_it_raises_for_its_users(system: System, tmp_path: Path) -> None:
    async with commercial_host(system.base_url, tmp_path) as host:
        told = await customers_program(host, "0" * 48, "+15559990001", "never")
    assert "403" in told["sent"]["error"]
    assert "403" in told["received"]["error"]
    assert system.radio(text="never") == []
