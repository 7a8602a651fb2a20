"""Holds keys to their rates, over all replicas together: what several requests need is asked of Valkey at once.

A key may make so many requests in any 60 seconds, counted by whole seconds of Valkey's own clock. While Valkey does not
answer nobody is held to anything: a limit that nobody can count must not stop the traffic.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import redis.asyncio
import structlog
from prometheus_client import Counter as Metric
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.gateway.errors import RateLimited
from shared.bus.batching import Batcher, at_most
from shared.errors import SmsFleetError, Startup

log = structlog.get_logger()

TIMEOUT_S: Final = 0.25
"""Longest that a request waits for its rate."""

AWAY_PAUSE_S: Final = 1.0
"""Valkey is asked again after this long when it did not answer."""

MAX_BATCH: Final = 256

_UNCHECKED: Final = Metric("smsfleet_rate_unchecked", "Requests that passed without a look at their key's rate")

# A hash for each key: requests by second. Every key gets as many of the wanted as fit into its last 60 seconds, and is
# told after how many seconds the next one fits.
_SPEND: Final = """
local now = tonumber(redis.call('time')[1])
local answers = {}
for place, key in ipairs(KEYS) do
    local limit, wanted = tonumber(ARGV[2 * place - 1]), tonumber(ARGV[2 * place])
    local counts, used, seconds = redis.call('hgetall', key), 0, {}
    for at = 1, #counts, 2 do
        local second, count = tonumber(counts[at]), tonumber(counts[at + 1])
        if second <= now - 60 then
            redis.call('hdel', key, counts[at])
        else
            used = used + count
            seconds[#seconds + 1] = {second, count}
        end
    end
    local granted = math.max(0, math.min(wanted, limit - used))
    if granted > 0 then
        redis.call('hincrby', key, now, granted)
        redis.call('expire', key, 61)
    end
    local wait = 1
    if granted < wanted then
        table.sort(seconds, function(one, other) return one[1] < other[1] end)
        local left = used + granted - limit
        wait = 60
        for _, entry in ipairs(seconds) do
            left = left - entry[2]
            if left < 0 then
                wait = entry[1] + 60 - now
                break
            end
        end
    end
    answers[#answers + 1] = granted
    answers[#answers + 1] = math.max(1, wait)
end
return answers
"""

_TAKE: Final = """
local wanted = tonumber(ARGV[1])
if tonumber(redis.call('get', KEYS[1]) or '0') + wanted > tonumber(ARGV[2]) then
    return 0
end
redis.call('incrby', KEYS[1], wanted)
redis.call('expire', KEYS[1], ARGV[3])
return 1
"""


class _Ask(NamedTuple):
    key: str
    limit: int


class Rates:
    """What is counted over all replicas: rates of keys and addresses, sums of days."""

    def __init__(self, url: str | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`url` of Valkey or Redis; None: there is none, so no rate is held. `run()` must be running.

        Raises Startup for what is no such URL.
        """
        self._client = _client(url) if url else None
        self._script = self._client.register_script(_SPEND) if self._client else None
        self._taking = self._client.register_script(_TAKE) if self._client else None
        self._monotonic = monotonic
        self._away_until = float("-inf")
        self._batcher: Batcher[_Ask, int] = Batcher(self._ask, fits=at_most(MAX_BATCH))

    async def run(self) -> None:
        """Asks until cancelled."""
        await self._batcher.run()

    async def spend(self, key: str, per_minute: int) -> bool:
        """Counts one request of this key; False if nobody can count now. Raises RateLimited."""
        if self._client is None or self._monotonic() < self._away_until:
            _UNCHECKED.inc()
            return False
        try:
            wait_s = await self._batcher.add(_Ask(key, per_minute), timeout=TIMEOUT_S)
        except (SmsFleetError, RedisError, OSError, TimeoutError) as error:
            self._is_away(error)
            return False
        if wait_s:
            raise RateLimited(wait_s)
        return True

    async def take(self, name: str, count: int, limit: int, kept_s: int) -> bool | None:
        """Adds to the count of this name if it stays within the limit, and says so; None if nobody can count now.

        The count is forgotten `kept_s` seconds after it last grew.
        """
        if self._taking is None or self._monotonic() < self._away_until:
            _UNCHECKED.inc()
            return None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return bool(await self._taking(keys=[name], args=[count, limit, kept_s]))
        except (RedisError, OSError, TimeoutError) as error:
            self._is_away(error)
            return None

    async def close(self) -> None:
        """Closes the connection."""
        if self._client is not None:
            await self._client.aclose()

    def _is_away(self, error: Exception) -> None:
        if self._monotonic() >= self._away_until:
            log.warning("rates are not checked", error=repr(error))
        self._away_until = self._monotonic() + AWAY_PAUSE_S
        _UNCHECKED.inc()

    async def _ask(self, asks: list[_Ask]) -> Sequence[int]:
        """For each: 0 if it passes, else the seconds until the next one of its key does."""
        assert self._script is not None
        wanted = Counter(asks)
        limits = [word for ask, count in wanted.items() for word in (ask.limit, count)]
        names = [f"rate:{ask.key}" for ask in wanted]
        told: list[int] = await self._script(keys=names, args=limits)
        left = {ask: told[2 * place] for place, ask in enumerate(wanted)}
        waits = {ask: math.ceil(told[2 * place + 1]) for place, ask in enumerate(wanted)}
        answers = []
        for ask in asks:
            answers.append(0 if left[ask] > 0 else waits[ask])
            left[ask] -= 1
        return answers


def _client(url: str) -> redis.asyncio.Redis:
    try:
        return redis.asyncio.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
    except ValueError as error:
        raise Startup(f"SMSFLEET_REDIS_URL is not valid: {error}") from error
