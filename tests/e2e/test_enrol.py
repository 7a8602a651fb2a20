"""`smsfleet enrol` brings a phone in, names it, and sends a first text from it."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.paths import PROJECT
from tests.support.system import System

PATIENCE_S = 60.0


@contextlib.asynccontextmanager
async def enrolling(system: System, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command while it runs; it is ended with the context."""
    process = await asyncio.create_subprocess_exec(
        *system.command,
        "enrol",
        *words,
        cwd=PROJECT,
        env=system.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def stage(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next object that it tells."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
    told: dict[str, Any] = json.loads(line)
    return told


@contextlib.asynccontextmanager
async def phone(system: System, name: str, protocol: str, key: str) -> AsyncIterator[None]:
    """A simulated phone that was given this key."""
    socket = f"{system.base_url.replace('http', 'ws', 1)}/phone/v1/socket"
    environment = system.environment(
        SMSFLEET_PHONE_PROTOCOL=protocol,
        SMSFLEET_PHONE_URL=socket if protocol == "socket" else f"{system.base_url}/mobile/v1",
        SMSFLEET_PHONE_ENROLMENT_KEY=key,
        SMSFLEET_PHONE_HOME=str(system.home / "phones" / name),
        SMSFLEET_PHONE_NAME=name,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", cwd=PROJECT, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


@pytest.mark.parametrize("protocol", ["smsgate", "socket"])
async def test_a_phone_is_let_in_named_and_sends_a_first_text(system: System, protocol: str) -> None:
    async with enrolling(system, "--json", "--name", "Ana's phone", "--test", "+15551237001") as running:
        key = await stage(running)
        assert key["stage"] == "key"
        assert key["api_url"] == f"{system.base_url}/mobile/v1"
        assert (key["notification_channel"], key["ca_url"]) == ("SSE only", "")
        async with phone(system, f"enrolled-{protocol}", protocol, key["private_token"]):
            arrived = await stage(running)
            assert (arrived["stage"], arrived["name"]) == ("phone", "Ana's phone")
            text, sent = await stage(running), await stage(running)
            assert (text["stage"], text["to"]) == ("text", "+15551237001")
            assert (sent["stage"], sent["guid"]) == ("sent", text["guid"])
            assert sent["state"] in ("sent", "delivered")
            assert await asyncio.wait_for(running.wait(), PATIENCE_S) == 0
    story = await system.cli("message", "show", text["guid"])
    assert (story["device"], story["route"]) == (arrived["device"], "pinned")
    devices = (await system.cli("phone", "list"))["devices"]
    assert [each["name"] for each in devices if each["id"] == arrived["device"]] == ["Ana's phone"]
    keys = (await system.cli("key", "list"))["keys"]
    assert {each["revoked_at"] is None for each in keys if each["name"] == "first text of a phone"} == {False}
    await system.cli("phone", "remove", arrived["device"])


async def test_another_phone_is_not_taken_for_the_one_that_is_awaited(system: System) -> None:
    async with enrolling(system, "--json", "--wait-s", "2") as running:
        key = await stage(running)
        assert (await system.cli("enrolment", "show", key["id"]))["device"] is None
        failed = await stage(running)
        assert "did not come in time" in failed["error"]
        assert await asyncio.wait_for(running.wait(), PATIENCE_S) == 1


async def test_a_revoked_key_ends_the_wait(system: System) -> None:
    async with enrolling(system, "--json") as running:
        key = await stage(running)
        await system.cli("enrolment", "revoke", key["id"])
        assert (await stage(running))["code"] == "conflict"


async def test_people_are_told_what_to_type(system: System) -> None:
    done = await asyncio.to_thread(system.run, "enrol", "--no-wait")
    assert done.returncode == 0, done.stderr
    for words in (f"{system.base_url}/mobile/v1", "SSE only", "https only"):
        assert words in done.stdout


async def test_it_tells_that_nothing_runs(tmp_path: Path) -> None:
    done = await asyncio.to_thread(System(tmp_path / "nothing").run, "enrol", "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (3, "not_running")
