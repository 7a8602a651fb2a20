"""Rates of keys, over two replicas and with Valkey away."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from redis.asyncio import Redis

from services.gateway.errors import RateLimited
from services.gateway.quotas import today
from services.gateway.rates import Rates
from shared.contracts.rpc.auth import Verdict
from shared.db.pool import Pool
from shared.errors import Startup
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.gateway import ACCOUNT, SCOPES, Gateway, running_gateway, send
from tests.support.rows import add_device


@pytest.fixture
async def valkey(settings: ServiceSettings) -> AsyncIterator[Redis]:
    assert settings.redis_url is not None
    client = Redis.from_url(settings.redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
async def rates(settings: ServiceSettings, valkey: Redis) -> AsyncIterator[Rates]:
    made = Rates(settings.redis_url)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await made.close()


async def passed(rates: Rates, key: str, limit: int, times: int) -> list[int]:
    """0 for each request that passed, else its seconds to wait."""

    async def one() -> int:
        try:
            await rates.spend(key, limit)
        except RateLimited as limited:
            return limited.retry_after_s
        return 0

    return await asyncio.gather(*(one() for _ in range(times)))


async def test_so_many_pass_in_a_minute(rates: Rates, valkey: Redis) -> None:
    found = await passed(rates, "k", 5, 7)
    assert found[:5] == [0] * 5
    assert all(58 <= wait <= 60 for wait in found[5:])
    assert await passed(rates, "other", 1, 2) == [0, 60]
    now = int(time.time())
    # As if two of them had been 50 seconds ago, and some of a minute before must not count any more.
    await valkey.delete("rate:k")
    await valkey.hset("rate:k", mapping={str(now - 50): 2, str(now - 70): 9, str(now - 1): 2})
    found = await passed(rates, "k", 5, 3)
    assert found[0] == 0
    assert all(8 <= wait <= 10 for wait in found[1:])
    assert str(now - 70).encode() not in await valkey.hgetall("rate:k")
    assert 0 < await valkey.ttl("rate:k") <= 61


async def test_a_lowered_limit_counts_at_once(rates: Rates, valkey: Redis) -> None:
    assert await passed(rates, "k", 10, 6) == [0] * 6
    assert all(await passed(rates, "k", 3, 2))


async def test_many_at_once_share_questions(rates: Rates, valkey: Redis) -> None:
    await rates.spend("k", 1000)
    before = (await valkey.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert await passed(rates, "k", 1000, 300) == [0] * 300
    assert (await valkey.info("commandstats"))["cmdstat_evalsha"]["calls"] - before <= 4


async def test_two_replicas_share_a_limit(
    settings: ServiceSettings, nats_client: Client, pool: Pool, valkey: Redis
) -> None:
    await add_device(pool)
    verdict = Verdict(epoch=0, account=ACCOUNT, subject="key_limited", scopes=SCOPES, rate_per_minute=10)
    async with running_gateway(settings, nats_client) as one, running_gateway(settings, nats_client) as other:
        for gateway in (one, other):
            gateway.auth.accounts[digest("limited")] = verdict
        answers = await asyncio.gather(*(send(gateway, "limited") for _ in range(20) for gateway in (one, other)))
        assert sorted(answer.status for answer in answers) == [200] * 10 + [429] * 30
        refused = next(answer for answer in answers if answer.status == 429)
        assert refused.json()["error"] == refused.json()["result"]["error"] == "rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await one.get("/getsms", apikey="limited")).json()["result"]["sms"] == []
        assert len(await one.commands()) == 10
        assert (await send(one)).status == 200


async def test_without_valkey_everything_passes(settings: ServiceSettings, nats_client: Client, pool: Pool) -> None:
    await add_device(pool)
    for url in ("redis://127.0.0.1:9/0", None):
        async with running_gateway(settings, nats_client, redis_url=url) as gateway:
            await limited(gateway)
            started = time.monotonic()
            for _ in range(5):
                assert (await send(gateway, "limited")).status == 200
            assert time.monotonic() - started < 2


async def limited(gateway: Gateway) -> None:
    gateway.auth.accounts[digest("limited")] = Verdict(
        epoch=0, account=ACCOUNT, subject="key_limited", scopes=SCOPES, rate_per_minute=1
    )


def test_a_url_that_is_none() -> None:
    with pytest.raises(Startup, match="SMSFLEET_REDIS_URL"):
        Rates("nowhere")


async def test_an_accounts_day_holds_over_all_replicas(
    settings: ServiceSettings, nats_client: Client, pool: Pool, valkey: Redis
) -> None:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as one, running_gateway(settings, nats_client) as other:
        for gateway in (one, other):
            daily(gateway, 5)
        assert (await send(one, "daily", recipients="+3247000001,+3247000002,+3247000003")).status == 200
        assert (await send(other, "daily", recipients="+3247000001,+3247000002,+3247000003")).status == 429, "whole"
        assert (await send(other, "daily", client_ref="r")).status == 200
        assert (await send(one, "daily")).status == 200
        refused = await send(other, "daily")
        assert refused.status == 429
        assert refused.json()["error"] == "rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 25 * 3600
        assert (await send(one, "daily", client_ref="r")).status == 200, "what was accepted once stays so"
        assert (await send(one)).status == 200, "another key of the account has no such limit"


async def test_a_day_without_valkey(settings: ServiceSettings, nats_client: Client, pool: Pool) -> None:
    await add_device(pool)
    async with running_gateway(settings, nats_client, redis_url="redis://127.0.0.1:9/0") as gateway:
        daily(gateway, 1)
        assert [(await send(gateway, "daily")).status for _ in range(3)] == [200] * 3


def daily(gateway: Gateway, sends: int) -> None:
    gateway.auth.accounts[digest("daily")] = Verdict(
        epoch=0, account=ACCOUNT, subject="key_daily", scopes=SCOPES, daily_sends=sends, time_zone="Europe/Brussels"
    )


@pytest.mark.parametrize(
    ("now", "zone", "day", "left_s"),
    [
        ("2026-03-20T21:07:44Z", "UTC", "2026-03-20", 10336),
        ("2026-03-20T23:30:00Z", "Europe/Brussels", "2026-03-21", 84_600),
        ("2026-03-29T00:00:00Z", "Europe/Brussels", "2026-03-29", 22 * 3600),
        ("2026-10-24T22:00:00Z", "Europe/Brussels", "2026-10-25", 25 * 3600),
        ("2026-03-20T12:00:00Z", "Pacific/Kiritimati", "2026-03-21", 22 * 3600),
        ("2026-03-20T12:00:00Z", "../etc/passwd", "2026-03-20", 12 * 3600),
    ],
)
def test_a_day_begins_where_the_account_is(now: str, zone: str, day: str, left_s: int) -> None:
    assert today(dt.datetime.fromisoformat(now).timestamp(), zone) == (day, left_s)
