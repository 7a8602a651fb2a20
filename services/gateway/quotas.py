"""Holds accounts to what they may send in a day, which begins at midnight where the account is."""

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import Final

from services.gateway.errors import RateLimited
from services.gateway.rates import Rates

KEPT_S: Final = 2 * 86_400
"""How long a day's count is kept: no day is longer."""


class Quotas:
    """Counts messages by account and day over all replicas; while nobody can count, nobody is held to anything."""

    def __init__(self, rates: Rates, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._rates = rates
        self._clock = clock

    async def spend(self, account: int, time_zone: str, count: int, limit: int) -> None:
        """Counts so many messages of today, all or none. Raises RateLimited, until midnight."""
        day, left_s = today(self._clock(), time_zone)
        if await self._rates.take(f"day:{account}:{day}", count, limit, KEPT_S) is False:
            raise RateLimited(left_s, f"The account may send {limit} messages a day, and this would be more.")


def today(now: float, time_zone: str) -> tuple[str, int]:
    """The date in this time zone, UTC if there is none such, and the seconds until it is over."""
    zone: dt.tzinfo
    try:
        zone = zoneinfo.ZoneInfo(time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        zone = dt.UTC
    date = dt.datetime.fromtimestamp(now, zone).date()
    midnight = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(), zone)
    return date.isoformat(), max(1, round(midnight.timestamp() - now))
