"""From the request to the job at an idle phone: 20 phones, 50 requests a second, on the whole system."""

import asyncio
import os
import statistics
import sys
import time
from typing import Final

import uvloop

from benchmarks.phones import QuickPhone
from tests.support.http import form
from tests.support.system import System, running_system
from tests.support.waiting import until

PHONES: Final = 20
RATE: Final = 50
GOAL_MS: Final = 15.0
SECONDS: Final = float(os.environ.get("SMSFLEET_BENCH_SECONDS", "3"))


def main() -> int:
    """Runs the measurement and prints it; 0 also when the goal is missed."""
    uvloop.run(_measure())
    return 0


async def _measure() -> None:
    async with running_system(SMSFLEET_PHONE="0") as system:
        url = system.base_url.replace("http", "ws", 1) + "/phone/v1/socket"
        phones = [QuickPhone(url, system.credentials["enrolment_key"]) for _ in range(PHONES)]
        tasks = [asyncio.create_task(phone.run()) for phone in phones]
        await asyncio.gather(*(phone.online.wait() for phone in phones))
        for label in ("warming up", "measured"):
            waits = await _round(system, phones, label)
            waits.sort()
            p99 = waits[int(len(waits) * 0.99) - 1]
            print(
                f"latency ({label}): request to job at an idle phone p50 {statistics.median(waits):.1f} ms "
                f"(goal {GOAL_MS:g}), p99 {p99:.1f} ms, {len(waits)} requests"
            )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _round(system: System, phones: list[QuickPhone], label: str) -> list[float]:
    asked: dict[str, float] = {}
    requests = []
    begun = time.perf_counter()
    for number in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        text = f"{label} {number}"
        asked[text] = time.perf_counter()
        body = form(apikey=system.key, recipients="+15551234567", message=text)
        requests.append(asyncio.create_task(system.post("/sendsms/", body)))
    assert all(answer.status == 200 for answer in await asyncio.gather(*requests))

    async def arrived() -> bool:
        return sum(text in phone.offered_at for phone in phones for text in asked) >= len(asked)

    await until(arrived, "every text reached a phone")
    return [
        (min(phone.offered_at[text] for phone in phones if text in phone.offered_at) - moment) * 1000
        for text, moment in asked.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
