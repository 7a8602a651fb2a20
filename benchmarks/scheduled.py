"""Many messages for one second: from that second until the last one is leased, 20 phones, on the whole system.

Read from the phones' side: a text counts when a jobs frame brings it. All of them wait as live work before their second
comes.
"""

import asyncio
import math
import statistics
import sys
import time
from typing import Final

import asyncpg
import uvloop

from benchmarks.phones import QuickPhone
from tests.support.http import FORM, connected, form
from tests.support.scale import scaled
from tests.support.system import System, running_system
from tests.support.waiting import until

PHONES: Final = 20
MESSAGES: Final = scaled(small=500, one=5000, full=5000)
GOAL_S: Final = 3.0
CALLERS: Final = 20
AHEAD_S: Final = scaled(small=8, one=30, full=30)
"""How far ahead of its second everything is sent: accepting and storing takes a part of that."""


def main() -> int:
    """Runs the measurement and prints it; 0 also when the goal is missed."""
    uvloop.run(_measure())
    return 0


async def _measure() -> None:
    async with running_system(SMSFLEET_PHONE="0") as system:
        database = await asyncpg.connect(system.connections["database_url"])
        url = system.base_url.replace("http", "ws", 1) + "/phone/v1/socket"
        phones = [QuickPhone(url, system.credentials["enrolment_key"]) for _ in range(PHONES)]
        tasks = [asyncio.create_task(phone.run()) for phone in phones]
        await asyncio.gather(*(phone.online.wait() for phone in phones))
        due = math.ceil(time.time() + AHEAD_S)
        texts = [f"scheduled {number}" for number in range(MESSAGES)]
        await asyncio.gather(*(_submit(system, texts[nth::CALLERS], due) for nth in range(CALLERS)))
        await _all_wait(database)
        assert time.time() < due, f"accepting and storing took longer than {AHEAD_S} s"
        waits = await _arrivals(phones, texts, due)
        print(
            f"scheduled: {MESSAGES} messages for one second, {PHONES} phones: the last is leased after "
            f"{waits[-1]:.2f} s (goal {GOAL_S:g}), the first after {waits[0]:.2f} s, "
            f"half of them after {statistics.median(waits):.2f} s"
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()


async def _submit(system: System, texts: list[str], due: int) -> None:
    async with connected(system.base_url) as connection:
        for text in texts:
            body = form(apikey=system.key, recipients="+15551234567", message=text, schedule_timestamp=due)
            async with asyncio.timeout(15):
                answer = await connection.request("POST", "/sendsms/", body, FORM)
            assert answer.status == 200, answer


async def _all_wait(database: asyncpg.Connection) -> None:
    async def stored() -> bool:
        # Postgres' own statistics may be ten seconds late.
        rows = await database.fetchval("select count(*) from work")
        return bool(rows >= MESSAGES)

    await until(stored, "every message is live work", AHEAD_S)


async def _arrivals(phones: list[QuickPhone], texts: list[str], due: int) -> list[float]:
    """For each text the seconds from its time until it reached a phone, in growing order."""

    async def arrived() -> bool:
        return len({text for phone in phones for text in phone.offered_at}) >= len(texts)

    moment = time.perf_counter() + due - time.time()
    await until(arrived, "every text reached a phone", AHEAD_S + 30)
    return sorted(
        min(phone.offered_at[text] for phone in phones if text in phone.offered_at) - moment for text in texts
    )


if __name__ == "__main__":
    sys.exit(main())
