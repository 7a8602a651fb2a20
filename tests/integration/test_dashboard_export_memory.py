"""What an export costs the gateway that streams it: no more memory for very many messages than for few."""

import time
from pathlib import Path

import aiohttp
import pytest

from services.dispatcher.store.partitions import Partitions
from shared.db.pool import Pool
from tests.support.browser import Browser
from tests.support.own_process import apart
from tests.support.scale import scaled
from tests.support.servers import Servers
from tests.support.visiting import visiting

FEW = 1000
MANY = scaled(small=20_000, one=20_000, full=1_000_000)
CHARS = 40_000_000 // MANY
"""Of each text, so that the file alone is more than what may be kept of it."""

MOST_BYTES = 30_000_000
AT_ONCE = 50_000
"""Messages of one statement, which may take 10 s."""

EXPORT = "/dashboard/messages/export.csv"
DEADLINE_S = 900


async def fill(pool: Pool, account: int, count: int, chars: int) -> None:
    """So many messages that were delivered."""
    await Partitions(pool).make_ahead()
    for first in range(0, count, AT_ONCE):
        await pool.execute(_FILL, account, first, min(first + AT_ONCE, count), chars)


async def exported(browser: Browser) -> tuple[int, int, float]:
    """Reads a whole file: its lines, its bytes and the seconds that it took."""
    lines = size = 0
    began = time.perf_counter()
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    async with (
        aiohttp.ClientSession(cookies=browser.cookies, timeout=timeout) as session,
        session.get(browser.url + EXPORT) as answer,
    ):
        assert answer.status == 200
        async for chunk in answer.content.iter_any():
            lines += chunk.count(b"\r\n")
            size += len(chunk)
    return lines, size, time.perf_counter() - began


@pytest.mark.timeout(DEADLINE_S)
async def test_a_long_file_takes_no_more_memory(servers: Servers, tmp_path: Path) -> None:
    async with apart(servers, tmp_path / "gateway.log") as (here, memory), visiting(here) as browser:
        account = here.account.account
        await fill(here.pool, account, FEW, CHARS)
        assert (await exported(browser))[0] == 1 + FEW
        before = memory.now
        await fill(here.pool, account, MANY, CHARS)
        memory.forget()
        lines, size, took = await exported(browser)
        grown = memory.most - before
        print(f"{lines / took:.0f} lines a second, {size / took / 1e6:.1f} MB/s; {grown / 1e6:.1f} MB more memory")
        assert lines == 1 + FEW + MANY
        assert size > MOST_BYTES
        assert grown <= MOST_BYTES


_FILL = """
insert into messages (
    id, account_id, submitter, recipient, text, channel, encoding, parts, priority, accepted_at, scheduled_at,
    valid_until, state, device_id, sim, attempt
)
select decode(lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 28, '0'), 'hex'), $1,
    'key_a', '+1555' || lpad(n::text, 7, '0'), repeat('x', $4), 'sms', 'gsm7', 1, 0, now(), now(),
    now() + interval '3 days', 'delivered', 'phone-1', 1, 1
from generate_series($2::int + 1, $3::int) n
"""
