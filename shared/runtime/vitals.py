"""What every process tells Prometheus of itself: how late its event loop runs, and how its pools are used."""

import asyncio
from collections.abc import Callable
from typing import Final

from prometheus_client import Gauge, Histogram

PERIOD_S: Final = 0.25

LOOP_DELAY = Histogram(
    "smsfleet_event_loop_delay_seconds",
    "How much later than asked the event loop went on",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
POOL = Gauge("smsfleet_pool_connections", "Connections to Postgres, by what they do", ["pool", "state"])
POOL_LIMIT = Gauge("smsfleet_pool_limit", "How many connections there may be", ["pool"])


async def watch_loop() -> None:
    """Measures the loop's delay until cancelled: anything that blocks the loop shows here."""
    loop = asyncio.get_running_loop()
    while True:
        wanted = loop.time() + PERIOD_S
        await asyncio.sleep(PERIOD_S)
        LOOP_DELAY.observe(max(0.0, loop.time() - wanted))


def watch_pool(pool: str, size: Callable[[], int], idle: Callable[[], int], limit: int) -> None:
    """Reads these whenever the metrics are read: how many connections there are, and how many wait for work."""
    POOL_LIMIT.labels(pool).set(limit)
    POOL.labels(pool, "idle").set_function(idle)
    POOL.labels(pool, "busy").set_function(lambda: size() - idle())
