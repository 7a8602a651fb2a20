"""What `up` prints works as it is printed, and a message goes all its way."""

import asyncio
import hashlib
import json
import re
import subprocess
from typing import Any

from deploy.local.paths import PROJECT
from tests.support.system import System
from tests.support.waiting import until


def printed(screen: str, program: str) -> list[str]:
    """The shell commands of this program that stand on the screen, with their continuation lines."""
    whole = screen.replace("\\\n", " ")
    return [match.strip() for match in re.findall(rf"^\s+{re.escape(program)} .*$", whole, re.M)]


async def shell(system: System, line: str) -> str:
    """Runs a printed line where its reader stands: in the project, with the installation's environment."""
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-euc", line],
        cwd=PROJECT,
        env=system.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


async def test_the_printed_lines_send_and_read(system: System) -> None:
    send, read = printed(system.screen, "curl")
    (receive,) = printed(system.screen, ".venv/bin/smsfleet")

    result = json.loads(await shell(system, send))["result"]
    assert (result["error"], result["sent"]) == (0, "1")
    row = await system.succeeded(result["id"])
    (performed,) = system.radio(result["id"])
    assert performed["text_sha256"] == hashlib.sha256(b"Hello from SMSFleet").hexdigest()
    assert performed["number"] == row["number"] == "+15551234567"

    await shell(system, receive)

    async def arrived() -> list[dict[str, object]]:
        return [row for row in json.loads(await shell(system, read))["result"]["sms"] if row["message"] == "hello"]

    (received,) = await until(arrived, "the received text can be read")
    assert received["number"] == "+15551234567"


async def test_a_message_goes_all_its_way(system: System) -> None:
    text = "Grüße, 世界 & 50% off 🙂"
    guid = await system.send(text, to="+15551110001")
    row = await system.succeeded(guid)
    assert row["message"] == text
    assert (row["send_from_mobile"], row["send_from_mobile_erreur"], row["error_api"]) == ("1", "", "")
    (line,) = system.radio(guid)
    assert line["text_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert line["number"] == "+15551110001"
    assert system.radio(text=text) == [line]


async def test_the_story_of_a_message_can_be_shown(system: System) -> None:
    guid = await system.send("tell me your story")
    # The command knows what is stored; the log, which also knows what is on its way there, says when that is.
    await system.succeeded(guid)

    async def over() -> dict[str, Any] | None:
        story: dict[str, Any] = await system.cli("message", "show", guid)
        return story if story["state"] == "delivered" else None

    story = await until(over, "the message is delivered")
    assert story["id"] == guid
    assert story["waiting"] is None
    assert [change["state"] for change in story["changes"]] == ["accepted", "taken", "sent", "delivered"]
    times = [change["at"] for change in story["changes"]]
    assert times == sorted(times)


async def test_a_received_text_is_in_the_inbox_once(system: System) -> None:
    text = "from outside: ñ 🙂"
    await system.cli("phone", "receive", "--from", "+15551234567", text)

    async def rows() -> list[dict[str, object]]:
        return [row for row in await system.inbox() if row["message"] == text]

    (row,) = await until(rows, "the text is in the inbox")
    assert row["number"] == "+15551234567"
    assert re.fullmatch(r"\d{17}", str(row["time_received"]))
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", str(row["guid"]))
