"""The filters of the log, and that the partial indexes made for them answer them."""

import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from nats.aio.client import Client

from services.gateway import store
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.support.gateway import ACCOUNT, DEVICE, KEY, OTHER_ACCOUNT, Gateway, running_gateway
from tests.support.rows import IDS, add_device, add_message

LATER = itertools.count()
"""Milliseconds that are added to the times of messages, so that each is younger than the one before."""


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def texts(gateway: Gateway, **parameters: object) -> list[str]:
    """The texts of the rows, newest first."""
    answer = await gateway.get("/log/sent/sms/", apikey=KEY, **parameters)
    assert answer.status == 200, answer.body
    result = answer.json()["result"]
    assert (result["error"] == "no_record") == (result["sms"] == [])
    return [row["message"] for row in result["sms"]]


async def add(pool: Pool, text: str, state: str = "queued", at: float | None = None, **columns: Any) -> bytes:
    """A message with these columns, accepted at this time."""
    message = await add_message(pool, text=text, state=state)
    columns["id"] = IDS.new(ACCOUNT, int((time.time() if at is None else at) * 1000) + next(LATER))[0]
    for name, value in columns.items():
        await pool.execute(f"update messages set {name} = $1 where id = $2", value, message)
        message = value if name == "id" else message
    return message


async def live(pool: Pool, message: bytes, state: str) -> None:
    await pool.execute(
        """
        insert into work (message_id, account_id, queue, prio, tag, parts, due, valid_until, state, holder)
        values ($1, $2, 1, 0, 1, 1, now(), now(), $3, $4)
        """,
        message,
        ACCOUNT,
        state,
        DEVICE,
    )


async def test_keyword(gateway: Gateway, pool: Pool) -> None:
    await add(pool, "Your code is 12%_34", recipient="+32470000001")
    await add(pool, "Ärger", recipient="+32470000002")
    await add_message(pool, OTHER_ACCOUNT, text="code")
    assert await texts(gateway, keyword="CODE") == ["Your code is 12%_34"]
    assert await texts(gateway, keyword="%_") == ["Your code is 12%_34"]
    assert await texts(gateway, keyword="ärg") == ["Ärger"]
    assert await texts(gateway, keyword="+32 470-00") == ["Ärger", "Your code is 12%_34"]
    raw = await gateway.ask("GET", f"/log/sent/sms?apikey={KEY}&keyword=+32470000002")
    assert [row["message"] for row in raw.json()["result"]["sms"]] == ["Ärger"]
    for nothing in ("nothing", "\\", "a\0b"):
        assert await texts(gateway, keyword=nothing) == []
    assert len(await texts(gateway, keyword=" ")) == 2


async def test_before(gateway: Gateway, pool: Pool) -> None:
    now = int(time.time())
    for text, age in (("old", 100.0), ("edge", 50.0), ("new", 0.0)):
        await add(pool, text, at=now - age)
    edge = (await gateway.get("/log/sent/sms", apikey=KEY, keyword="edge")).json()["result"]["sms"][0]["guid"]
    assert await texts(gateway, before=edge) == ["old"]
    assert await texts(gateway, before=edge.upper()) == ["old"]
    assert await texts(gateway, before=now - 50) == ["old"]
    assert await texts(gateway, before=now - 49) == ["edge", "old"]
    assert await texts(gateway, before=253_402_300_799, limit=2, offset=1) == ["edge", "old"]
    assert await texts(gateway, before=0) == []
    assert await texts(gateway, before="f" * 40) == ["new", "edge", "old"]
    for wrong in ("yesterday", "-1", "9" * 13, "9" * 39, "253402300800"):
        answer = await gateway.get("/log/sent/sms", apikey=KEY, before=wrong)
        assert (answer.status, answer.json()["error"], answer.json()["result"]["sms"]) == (400, "invalid_before", [])


async def test_errors(gateway: Gateway, pool: Pool) -> None:
    await add(pool, "sent", "sent")
    await add(pool, "failed", "failed", reason="no_service")
    await add(pool, "rejected", "failed", reason="rejected")
    await add(pool, "expired", "expired")
    await add(pool, "canceled", "canceled")
    await add(pool, "unknown", "unknown")
    over = await pool.fetchval("select now() - interval '1 minute'")
    await add(pool, "lost", "unknown", valid_until=over)
    await live(pool, await add(pool, "tried again", "failed", reason="generic"), "ready")
    await live(pool, await add(pool, "resent", "expired"), "ready")
    await live(pool, await add(pool, "silent", "unknown", valid_until=over), "taken")
    assert await texts(gateway, error_api=1) == ["canceled", "expired", "rejected"]
    assert await texts(gateway, error_mobile=1) == ["silent", "lost", "rejected", "failed"]
    assert await texts(gateway, error_mobile=1, error_api=1) == ["rejected"]
    assert len(await texts(gateway, error_mobile=0, error_api="")) == 10
    assert await texts(gateway, error_mobile=1, limit=1, offset=1) == ["lost"]
    assert await texts(gateway, error_mobile=1, keyword="los") == ["lost"]
    rows = (await gateway.get("/log/sent/sms", apikey=KEY)).json()["result"]["sms"]
    for name, field in (("error_api", "error_api"), ("error_mobile", "send_from_mobile_erreur")):
        wrong = {row["message"] for row in rows if row[field] != ""}
        assert set(await texts(gateway, **{name: 1})) == wrong, "the filter and the row say the same"
    assert {row["message"] for row in rows if row["status"] == "Pending"} == {"unknown", "tried again", "resent"}
    one = next(row for row in rows if row["message"] == "failed")
    assert await texts(gateway, guid_message=one["guid"], error_mobile=1) == ["failed"]
    assert await texts(gateway, guid_message=one["guid"], error_api=1) == []
    answer = await gateway.get("/log/sent/sms", apikey=KEY, error_api="x")
    assert (answer.status, answer.json()["error"]) == (400, "invalid_error_api")


async def test_rows_tell_more(gateway: Gateway, pool: Pool) -> None:
    message = await add(pool, "x", "failed", reason="generic", priority=3, client_ref="order 1", parts=2)
    until = await pool.fetchval("select extract(epoch from valid_until)::int8 from messages where id = $1", message)
    (row,) = (await gateway.get("/log/sent/sms", apikey=KEY)).json()["result"]["sms"]
    assert row["valid_until"] in (until - 1, until)
    told = ("client_ref", "priority", "estimated_at", "reason", "encoding", "parts")
    assert [row[name] for name in told] == ["order 1", 3, None, "generic", "gsm7", 2]


async def test_what_is_deleted_is_gone_at_once(gateway: Gateway, pool: Pool) -> None:
    message = await add(pool, "x")
    await pool.execute("update messages set deleted_at = now()")
    assert await texts(gateway) == []
    assert await texts(gateway, guid_message=message.hex()) == []


@pytest.mark.parametrize(
    ("narrowed", "index"),
    [
        (store._API_ERRORS, "messages_api_errors"),
        (store._MOBILE_ERRORS, "messages_mobile_errors"),
        ("", "messages_account"),
    ],
)
async def test_filters_are_answered_by_their_index(pool: Pool, narrowed: str, index: str) -> None:
    await add_message(pool)
    await pool.execute(
        """
        insert into messages (id, account_id, submitter, recipient, text, channel, encoding, parts, priority,
            accepted_at, scheduled_at, valid_until, state)
        select decode(lpad(to_hex(n), 40, '0'), 'hex'), n / 10 % 100, 'k', '+1', 'x', 'sms', 'gsm7', 1, 0,
            now(), now(), now(), case n % 10 when 0 then 'failed' when 1 then 'expired' else 'sent' end
        from generate_series(1, 50000) n
        """
    )
    await pool.execute("analyze messages")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local enable_bitmapscan = off")
        found = await connection.fetchval(
            f"""
        explain (format json) {store._SENT}
        where m.account_id = 7 and m.deleted_at is null {narrowed.replace("$5", "now()")}
        order by m.id desc limit 100
        """
        )
    used = next(node["Index Name"] for node in nodes(json.loads(found)[0]["Plan"]) if node.get("Alias") == "m")
    parent = await pool.fetchval(
        """
        select p.relname from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_class c on c.oid = i.inhrelid
        where c.relname = $1
        """,
        used,
    )
    assert parent == index


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a query plan, the top first."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
