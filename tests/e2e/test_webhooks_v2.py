"""V2 webhooks through the whole running system, judged by a receiver that was written from the contract alone."""

import sys
from pathlib import Path
from typing import Any

from tests.support.manual import run_lines
from tests.support.receiver import Receiver
from tests.support.receivers import EXAMPLE_RECEIVERS, takes_a_real_delivery
from tests.support.system import System
from tests.support.v2_receiver import V2Receiver
from tests.support.waiting import until


async def test_a_message_and_an_answer_arrive_signed(system: System) -> None:
    async with Receiver.running() as receiver:
        made = await system.cli("webhook", "create", receiver.url, "--format", "v2")
        judge = V2Receiver(made["secret"])
        receiver.judge = judge.judge
        try:
            guid = await system.send("is anybody there?", to="+15551237777")
            await system.cli("phone", "receive", "--from", "+15551237777", "yes, somebody")

            async def arrived() -> dict[str, dict[str, Any]] | None:
                told = {str(event["type"]): event for event in judge.seen.values() if concerns(event, guid)}
                return told if set(told) >= {"sms.api.submitted", "sms.sent", "sms.received"} else None

            told = await until(arrived, "the three events arrived")
        finally:
            await system.cli("webhook", "delete", made["id"])
    assert told["sms.sent"]["data"]["to"] == "+15551237777"
    assert told["sms.sent"]["data"]["message"] == "is anybody there?"
    assert told["sms.received"]["data"]["message"] == "yes, somebody"
    assert told["sms.received"]["data"]["from"] == "+15551237777"
    assert {delivery.header("webhook-attempt") for delivery in receiver.deliveries} == {"1"}


async def test_the_example_in_python_takes_a_delivery(system: System, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE_RECEIVERS / "python" / "receiver.py"), "PORT"]
    await takes_a_real_delivery(command, tmp_path, system)


def concerns(event: dict[str, Any], guid: str) -> bool:
    """Whether it is about this message or the text that came back."""
    return bool(event["data"].get("guid") == guid or event["data"].get("from") == "+15551237777")


async def test_the_lines_of_the_manuals_run(system: System, tmp_path: Path) -> None:
    told = {name.upper(): system.credentials[name] for name in ("base_url", "api_key")}
    before = await ids(system)
    async with Receiver.running() as receiver:
        await run_lines("api/v1.md", tmp_path, 6, HOOK=receiver.url, **told)
    assert await ids(system) == before
    assert receiver.deliveries[0].header("x-smsmobileapi-signature")
    await run_lines("webhooks.md", tmp_path, 1, **told)
    (made,) = await ids(system) - before
    await system.cli("webhook", "delete", made)


async def ids(system: System) -> set[str]:
    """The webhooks of the first account."""
    return {each["id"] for each in (await system.cli("webhook", "list"))["endpoints"]}
