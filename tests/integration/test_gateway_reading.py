"""What the gateway lists: the log of what was sent, before and after its rows are there, and the inbox."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.contracts.rpc.messages import MarkRead
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.conftest import Eventually
from tests.support.gateway import ACCOUNT, DEVICE, KEY, OTHER_ACCOUNT, OTHER_KEY, Gateway, running_gateway, send
from tests.support.rows import IDS, add_device, add_message, add_text


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def test_the_log_is_the_accounts_own_and_newest_first(gateway: Gateway, pool: Pool) -> None:
    first = await add_message(pool, text="1", state="sent")
    second = await add_message(pool, text="2", state="failed")
    other = await add_message(pool, OTHER_ACCOUNT, text="3")
    rows = (await gateway.get("/log/sent/sms", apikey=KEY)).json()["result"]["sms"]
    assert sorted(row["message"] for row in rows) == ["1", "2"]
    assert [row["guid"] for row in rows] == sorted((first.hex(), second.hex()), reverse=True)
    page = (await gateway.get("/log/sent/sms/", apikey=KEY, limit=1, offset=1)).json()["result"]["sms"]
    assert page == rows[1:]
    one = (await gateway.get("/log/sent/sms/", apikey=KEY, guid_message=second.hex().upper())).json()
    assert (one["result"]["error"], one["result"]["sms"][0]["message"]) == (0, "2")
    for guid in (other.hex(), "nonsense", "0" * 40):
        answer = await gateway.get("/log/sent/sms/", apikey=KEY, guid_message=guid)
        assert (answer.status, answer.json()) == (200, {"result": {"error": "no_record", "sms": []}})


async def test_live_work_makes_a_row_pending(gateway: Gateway, pool: Pool) -> None:
    message = await add_message(pool, state="failed")
    await pool.execute(
        """
        insert into work (message_id, account_id, queue, prio, tag, parts, due, valid_until, state, holder, sim)
        values ($1, $2, 1, 0, 1, 1, now(), now(), 'leased', $3, 2)
        """,
        message,
        ACCOUNT,
        DEVICE,
    )
    (row,) = (await gateway.get("/log/sent/sms/", apikey=KEY, guid_message=message.hex())).json()["result"]["sms"]
    assert (row["status"], row["sIdentifiantPhone"], row["port"]) == ("Pending", DEVICE, "2")


async def test_an_accepted_message_is_pending_until_its_row_is_there(gateway: Gateway, pool: Pool) -> None:
    guid = (await send(gateway)).json()["result"]["id"]
    (row,) = (await gateway.get("/log/sent/sms/", apikey=KEY, guid_message=guid)).json()["result"]["sms"]
    assert (row["status"], row["guid"], row["send_from_mobile"]) == ("Pending", guid, "0")
    answer = await gateway.get("/log/sent/sms/", apikey=OTHER_KEY, guid_message=guid)
    assert answer.json()["result"]["error"] == "no_record"
    forged = guid[:-8] + "00000000"
    answer = await gateway.get("/log/sent/sms/", apikey=KEY, guid_message=forged)
    assert answer.json()["result"]["error"] == "no_record"
    old = IDS.new(ACCOUNT, int(time.time() * 1000) - 60_000)[0]
    answer = await gateway.get("/log/sent/sms/", apikey=KEY, guid_message=old.hex())
    assert answer.json()["result"]["error"] == "no_record", "older than the oldest command: it left the stream"


async def test_a_row_that_comes_within_a_second_is_waited_for(
    gateway: Gateway, pool: Pool, eventually: Eventually
) -> None:
    message = IDS.new(ACCOUNT, int(time.time() * 1000))[0]
    asking = asyncio.create_task(gateway.get("/log/sent/sms/", apikey=KEY, guid_message=message.hex()))

    async def looked() -> object:
        return await pool.fetchval("select count(*) from pg_stat_activity where query like '%from messages m%'")

    await eventually(looked)
    at = await add_message(pool, text="late")
    await pool.execute("update messages set id = $1 where id = $2", message, at)
    assert (await asking).json()["result"]["sms"][0]["message"] == "late"


async def test_the_inbox(gateway: Gateway, pool: Pool, eventually: Eventually) -> None:
    numbers = [await add_text(pool, text) for text in ("1", "2", "3")]
    await add_text(pool, "other", OTHER_ACCOUNT)
    await pool.execute("update inbox set read_at = now() where id = $1", numbers[1])
    rows = (await gateway.get("/getsms", apikey=KEY)).json()["result"]["sms"]
    assert [row["message"] for row in rows] == ["3", "2", "1"]
    assert gateway.dispatcher.of(MarkRead) == []
    rows = (await gateway.get("/getsms/", apikey=KEY, onlyunread="yes", sIdentifiantPhone=DEVICE)).json()
    assert [row["id"] for row in rows["result"]["sms"]] == [numbers[2], numbers[0]]

    async def marked() -> object:
        return gateway.dispatcher.of(MarkRead)

    await eventually(marked)
    assert gateway.dispatcher.of(MarkRead) == [MarkRead(account=ACCOUNT, inbox=[numbers[2], numbers[0]])]
    later = int((dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).timestamp())
    for nothing in ({"after_unix": later}, {"sIdentifiantPhone": "x"}, {"sIdentifiantPhone": "\0"}, {"offset": 3}):
        answer = await gateway.get("/getsms", apikey=KEY, **nothing)
        assert answer.json() == {"result": {"error": None, "sms": []}}, nothing
    answer = await gateway.get("/getsms", apikey=KEY, limit="x")
    assert (answer.status, answer.json()["error"], answer.json()["result"]["sms"]) == (400, "invalid_limit", [])


async def test_read_marks_that_fail_harm_nobody(gateway: Gateway, pool: Pool) -> None:
    await add_text(pool, "1")
    await gateway.dispatcher.leave()
    answer = await gateway.get("/getsms/", apikey=KEY, onlyunread="yes")
    assert len(answer.json()["result"]["sms"]) == 1
