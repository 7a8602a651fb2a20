"""The gateway's HTTP on real NATS and Postgres: what is accepted, refused, listed, and what it outlives."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client

from shared.contracts.rpc.auth import Verdict
from shared.contracts.rpc.messages import MarkRead
from shared.db.pool import Pool
from shared.model.ids import MessageIds, accepted_at_ms, parse_message_id
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import derive_key, digest
from tests.conftest import SECRET, Eventually
from tests.support import http
from tests.support.gateway import (
    ACCOUNT,
    DEVICE,
    KEY,
    OTHER_ACCOUNT,
    OTHER_KEY,
    READING_KEY,
    SUSPENDED_KEY,
    Gateway,
    running_gateway,
)

IDS = MessageIds(derive_key(SECRET, "message-ids"))
NOWHERE = "postgresql://nobody@127.0.0.1:9/none"


async def add_device(pool: Pool, device: str = DEVICE, account: int = ACCOUNT, *channels: str) -> None:
    await pool.execute(
        """
        insert into devices (id, account_id, name, protocol, journal, channels, approved, gateway, opened_at,
            renewed_at, last_seen_at)
        values ($1, $2, 'n', 'socket', 'j', $3, true, 'g', now(), now(), now())
        """,
        device,
        account,
        channels or ("sms",),
    )


async def add_message(pool: Pool, account: int = ACCOUNT, text: str = "hello", state: str = "queued") -> bytes:
    """A row as the dispatcher writes it, in a partition that holds everything."""
    await pool.execute(
        "create table if not exists messages_all partition of messages for values from (minvalue) to (maxvalue)"
    )
    message = IDS.new(account, int(time.time() * 1000))[0]
    await pool.execute(
        """
        insert into messages (id, account_id, submitter, recipient, text, channel, encoding, parts, priority,
            accepted_at, scheduled_at, valid_until, state)
        values ($1, $2, 'k', '+3247123456', $3, 'sms', 'gsm7', 1, 0, now(), now(), now() + interval '1 day', $4)
        """,
        message,
        account,
        text,
        state,
    )
    return message


async def add_text(pool: Pool, text: str, account: int = ACCOUNT) -> int:
    number: int = await pool.fetchval(
        """
        insert into inbox (account_id, device_id, sim, number, text, received_at, utc_offset_min, fingerprint)
        values ($1, $2, 1, '+1555', $3, now(), 60, sha256($3::text::bytea)) returning id
        """,
        account,
        DEVICE,
        text,
    )
    return number


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def send(gateway: Gateway, key: str = KEY, **parameters: object) -> http.Response:
    wanted = {"apikey": key, "recipients": "+3247123456", "message": "hello"} | parameters
    return await gateway.get("/sendsms/", **wanted)


async def test_what_is_answered_200_is_on_the_stream(gateway: Gateway) -> None:
    before = time.time()
    later = int(before) + 3600
    answer = await send(
        gateway,
        message="héllo €",
        schedule_timestamp=later,
        port=2,
        sIdentifiant=DEVICE,
        ttl=60,
        priority=-5,
        **{"from": "odoo"},
    )
    assert answer.status == 200
    result = answer.json()["result"]
    (command,) = await gateway.commands()
    (recipient,) = command.recipients
    assert recipient.id.hex() == result["id"]
    assert IDS.is_ours(parse_message_id(result["id"]) or IDS.new(1, 1)[0], ACCOUNT)
    assert before - 1 <= accepted_at_ms(recipient.id) / 1000 <= time.time()  # type: ignore[arg-type]
    assert msgspec.structs.asdict(command) | {"recipients": [], "accepted_at": 0} == {
        "account": ACCOUNT,
        "submitter": "key_1",
        "recipients": [],
        "text": "héllo €",
        "encoding": "gsm7",
        "parts": 1,
        "accepted_at": 0,
        "scheduled_at": later,
        "valid_until": later + 60,
        "channel": "sms",
        "device": DEVICE,
        "sim": 2,
        "priority": -5,
        "origin": "odoo",
        "client_ref": None,
        "media_url": None,
    }


async def test_a_past_schedule_means_now(gateway: Gateway) -> None:
    assert (await send(gateway, schedule_timestamp=1)).status == 200
    (command,) = await gateway.commands()
    assert command.scheduled_at == command.accepted_at
    assert command.valid_until == command.accepted_at + 259_200


async def test_a_list_is_accepted_whole_or_not_at_all(gateway: Gateway) -> None:
    numbers = ",".join(f"+32470{number:06}" for number in range(1000))
    answer = await gateway.ask(
        "POST", "/sendsms", body=http.form(apikey=KEY, recipients=numbers, message="hi"), headers=http.FORM
    )
    result = answer.json()["result"]
    (command,) = await gateway.commands()
    assert [recipient.id.hex() for recipient in command.recipients] == result["ids"]
    assert result["id"] == result["ids"][0]
    assert len(set(result["ids"])) == 1000
    assert (await send(gateway, recipients="+3247123456,?")).json()["error"] == "invalid_recipient"
    body = http.form(apikey=KEY, recipients=numbers + ",+1555000", message="hi")
    answer = await gateway.ask("POST", "/sendsms", body=body, headers=http.FORM)
    assert (answer.status, answer.json()["error"]) == (400, "too_many_recipients")
    assert len(await gateway.commands()) == 1


BAD_INPUT: list[tuple[dict[str, str], int, int | str]] = [
    ({"apikey": ""}, 403, 1),
    ({"apikey": "wrong"}, 403, 1),
    ({"apikey": SUSPENDED_KEY}, 403, "subscription_expire"),
    ({"recipients": ""}, 400, "missing_recipients"),
    ({"recipients": "+"}, 400, "invalid_recipient"),
    ({"recipients": "\0"}, 400, "invalid_recipient"),
    ({"message": ""}, 400, "missing_message"),
    ({"message": "x" * 20_001}, 400, "message_too_long"),
    ({"message": "a\0b"}, 400, "invalid_message"),
    ({"from": "\0"}, 400, "invalid_from"),
    ({"schedule_timestamp": "soon"}, 400, "invalid_schedule_timestamp"),
    ({"schedule_timestamp": "95617584000"}, 400, "invalid_schedule_timestamp"),
    ({"schedule_timestamp": "9" * 30}, 400, "invalid_schedule_timestamp"),
    ({"port": "3"}, 400, "invalid_port"),
    ({"priority": "128"}, 400, "invalid_priority"),
    ({"ttl": "0"}, 400, "invalid_ttl"),
    ({"sendsms": "0"}, 400, "no_channel"),
    ({"waonly": "yes"}, 200, "whatsapp_not_connected"),
    ({"encrypt_message": "yes"}, 200, "encrypt_message_not_supported"),
    ({"shorturl": "1"}, 200, "shorturl_not_supported"),
    ({"sIdentifiant": "nobody"}, 200, 2),
    ({"sIdentifiant": "x" * 21}, 200, 2),
]


async def test_bad_input_gets_the_documented_error_and_changes_nothing(gateway: Gateway) -> None:
    for parameters, status, code in BAD_INPUT:
        wanted = {"apikey": KEY, "recipients": "+3247123456", "message": "hello"} | parameters
        body = http.form(**wanted)
        answer = await gateway.ask("POST", "/sendsms/", body=body, headers=http.FORM)
        said = answer.json()
        found = (answer.status, said["error"], said["result"]["error"], said["result"]["sent"])
        assert found == (status, code, code, "no"), parameters
    assert await gateway.commands() == []


BAD_REQUESTS: list[tuple[str, str, bytes, dict[str, str], int, int | str]] = [
    ("GET", f"/sendsms?apikey={KEY}&recipients=123&message=%ff", b"", {}, 400, "invalid_encoding"),
    ("POST", "/sendsms", b'{"message": "\\ud800"}', {"Content-Type": "application/json"}, 400, "invalid_json"),
    ("POST", "/sendsms/", b"x" * 2_000_000, http.FORM, 413, "too_large"),
    ("POST", "/sendsms/", b"x" * 262_145, {}, 413, "too_large"),
    ("PUT", "/sendsms", b"", {}, 405, "method_not_allowed"),
    ("DELETE", "/getsms/", b"", {}, 405, "method_not_allowed"),
    ("GET", "/getwa/", b"", {}, 404, "not_found"),
    ("POST", "/health/live", b"", {}, 405, "method_not_allowed"),
    ("GET", "/", b"", {}, 404, "not_found"),
    ("GET", "/sendsms", b"", {"Authorization": "Bearer nobody"}, 403, 1),
]


async def test_every_error_is_json(gateway: Gateway) -> None:
    for method, target, body, headers, status, code in BAD_REQUESTS:
        answer = await gateway.ask(method, target, body=body, headers=headers)
        assert (answer.status, answer.json()["error"]) == (status, code), (method, target)
    assert await gateway.commands() == []


async def test_a_chunked_body_is_read_up_to_its_limit(gateway: Gateway) -> None:
    head = b"POST /sendsms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    form = http.form(apikey=KEY, recipients="+3247123456", message="hi")
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        answer = await connection.raw(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(form), form))
        assert answer.status == 200
    async with asyncio.timeout(10), http.connected(gateway.url) as connection:
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        answer = await connection.raw(head + chunk * 8)
        assert answer.status == 413
        assert answer.json()["error"] == "too_large"


async def test_credentials(gateway: Gateway) -> None:
    for headers, key, status in (
        ({"Authorization": f"Bearer {KEY}"}, None, 200),
        ({"Authorization": f"bearer {KEY}"}, KEY, 200),
        ({"Authorization": "Bearer stale-token"}, KEY, 200),
        ({"Authorization": f"Bearer {KEY}"}, "wrong", 200),
        ({"Authorization": f"Bearer {KEY}"}, OTHER_KEY, 403),
        ({"Authorization": "Basic eDp5"}, KEY, 200),
        ({"Authorization": "Bearer stale-token"}, "wrong", 403),
        ({}, None, 403),
    ):
        target = http.query("/getsms", **({"apikey": key} if key else {}))
        answer = await gateway.ask("GET", target, headers=headers)
        assert answer.status == status, headers
        if status == 403:
            assert answer.json()["result"]["sms"] == []
    assert answer.headers.get("www-authenticate") is None


async def test_a_key_does_what_its_scopes_say(gateway: Gateway) -> None:
    assert (await gateway.get("/getsms", apikey=READING_KEY)).status == 200
    answer = await send(gateway, READING_KEY)
    assert (answer.status, answer.json()["error"]) == (403, 1)
    gateway.auth.accounts[digest("sends")] = Verdict(epoch=0, account=ACCOUNT, scopes=["sms:send"])
    assert (await send(gateway, "sends")).status == 200
    for path in ("/getsms", "/log/sent/sms"):
        assert (await gateway.get(path, apikey="sends")).status == 403


async def test_an_account_without_a_device_is_told(gateway: Gateway, pool: Pool, eventually: Eventually) -> None:
    answer = await send(gateway, OTHER_KEY)
    assert (answer.status, answer.json()["result"]["error"], answer.json()["result"]["sent"]) == (200, 2, "no")
    await add_device(pool, "o" * 21, OTHER_ACCOUNT)

    async def accepted() -> bool:
        return bool((await send(gateway, OTHER_KEY)).json()["result"]["error"] == 0)

    await eventually(accepted)
    assert (await send(gateway, OTHER_KEY, sIdentifiant=DEVICE)).json()["result"]["error"] == 2


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


async def test_documents_and_health(gateway: Gateway, eventually: Eventually) -> None:
    assert (await gateway.get("/health/live")).json() == {"status": "ok", "checks": {}}

    async def ready() -> bool:
        return (await gateway.get("/health/ready")).status == 200

    await eventually(ready)
    document = (await gateway.get("/openapi.json")).json()
    assert {"/sendsms/", "/sendsms", "/getsms/", "/log/sent/sms/", "/health/ready"} <= set(document["paths"])
    page = await gateway.get("/docs")
    assert page.status == 200
    assert b"/sendsms/" in page.body
    assert b"://" not in page.body


async def test_it_accepts_without_postgres(settings: ServiceSettings, nats_client: Client) -> None:
    async with running_gateway(settings, nats_client, database_url=NOWHERE) as gateway:
        assert (await send(gateway)).json()["result"]["error"] == 0
        assert (await send(gateway, sIdentifiant=DEVICE)).status == 200
        assert len(await gateway.commands()) == 2
        for path in ("/getsms", "/log/sent/sms"):
            answer = await gateway.get(path, apikey=KEY)
            assert (answer.status, answer.json()["error"], answer.json()["result"]["sms"]) == (503, "unavailable", [])
            assert int(answer.headers["retry-after"]) >= 1


async def test_it_accepts_without_auth_from_whom_it_knows(gateway: Gateway) -> None:
    assert (await send(gateway)).status == 200
    gateway.auth.silent = True
    await gateway.auth.leave()
    gateway.auth.accounts.clear()
    assert (await send(gateway)).status == 200
    answer = await send(gateway, OTHER_KEY)
    assert (answer.status, answer.json()["error"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_revoked_key_is_refused_at_once(gateway: Gateway, eventually: Eventually) -> None:
    assert (await send(gateway)).status == 200
    gateway.auth.accounts.clear()
    gateway.auth.epoch += 1

    async def refused() -> bool:
        return (await send(gateway)).status == 403

    await eventually(refused)


async def test_a_full_stream_is_503_and_recovers(gateway: Gateway, nats_client: Client) -> None:
    jetstream = nats_client.jetstream()
    config = (await jetstream.stream_info("COMMANDS")).config
    try:
        await jetstream.update_stream(config.evolve(max_bytes=1))
        answer = await send(gateway)
        assert (answer.status, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await gateway.get("/health/ready")).status == 503
    finally:
        await jetstream.update_stream(config)
    assert (await send(gateway)).status == 200
    assert (await gateway.get("/health/ready")).status == 200


async def test_a_hundred_at_once_share_envelopes(gateway: Gateway, nats_client: Client) -> None:
    await send(gateway)
    before = (await nats_client.jetstream().stream_info("COMMANDS")).state.last_seq
    answers = await asyncio.gather(*(send(gateway, message=str(number)) for number in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert len(await gateway.commands()) == 101
    assert (await nats_client.jetstream().stream_info("COMMANDS")).state.last_seq - before < 60
