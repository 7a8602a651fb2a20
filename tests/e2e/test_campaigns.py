"""A campaign on a running system, counted by what the radios did."""

import os
import secrets
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.scale import scaled
from tests.support.system import System
from tests.support.waiting import until

WITHIN_S = 120.0

MORE_THAN_TIME_FOR = 20_000
"""So many texts are not sent before the next few commands have run."""


async def create(system: System, folder: Path, count: int, text: str) -> dict[str, Any]:
    file = folder / "numbers.csv"
    file.write_text("number\n" + "".join(f"+1666{number:06}\n" for number in range(count)))
    made: dict[str, Any] = await system.cli("campaign", "create", str(file), "--text", text)
    assert (made["status"], made["total"]) == ("active", count)
    return made


async def performed(system: System, text: str, count: int) -> None:
    async def enough() -> bool:
        return len(system.radio(text=text)) >= count

    await until(enough, f"{count} of it were sent", WITHIN_S)


async def ended(system: System, id: str) -> dict[str, Any]:
    async def over() -> dict[str, Any] | None:
        shown: dict[str, Any] = await system.cli("campaign", "show", id)
        return shown if shown["ended_at"] else None

    return await until(over, f"campaign {id} has ended", WITHIN_S)


async def test_each_number_gets_its_text_once_although_the_dispatcher_is_killed(system: System, tmp_path: Path) -> None:
    count = scaled(small=60, one=200, full=5000)
    text = f"campaign {secrets.token_hex(4)}"
    made = await create(system, tmp_path, count, text)
    await performed(system, text, 1)
    for _ in range(scaled(small=1, one=1, full=5)):
        os.kill(system.service("dispatcher")["pid"], signal.SIGKILL)
        await system.healthy()
    await performed(system, text, count)
    shown = await ended(system, made["id"])
    assert (shown["status"], shown["unfed"], shown["working"]) == ("done", 0, 0)
    assert shown["sent"] + shown["delivered"] == count
    numbers = Counter(line["number"] for line in system.radio(text=text))
    assert numbers == {f"+1666{number:06}": 1 for number in range(count)}

    async def all_delivered() -> bool:
        return bool((await system.cli("campaign", "show", made["id"]))["delivered"] == count)

    await until(all_delivered, "the counters follow the deliveries", WITHIN_S)


async def test_a_campaign_hinders_nobody_and_sends_no_more_once_it_is_canceled(system: System, tmp_path: Path) -> None:
    text = f"campaign {secrets.token_hex(4)}"
    made = await create(system, tmp_path, MORE_THAN_TIME_FOR, text)
    single = await system.send(f"in between {secrets.token_hex(4)}")
    await system.succeeded(single)
    for change, status in (("pause", "paused"), ("resume", "active"), ("cancel", "canceled")):
        assert (await system.cli("campaign", change, made["id"]))["status"] == status
    shown = await ended(system, made["id"])
    sent = system.radio(text=text)
    assert shown["status"] == "canceled"
    assert shown["sent"] + shown["delivered"] == len(sent) < MORE_THAN_TIME_FOR
    assert shown["sent"] + shown["delivered"] + shown["canceled"] + shown["unfed"] == MORE_THAN_TIME_FOR
    assert len({line["number"] for line in sent}) == len(sent)
