"""What a caller does to what it sent or received: resend, cancel, delete; the dispatcher is played."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.contracts.registry import COMMANDS
from shared.contracts.rpc.auth import Verdict
from shared.contracts.rpc.messages import CancelMessage, DeleteMessages, ResendMessage
from shared.db.pool import Pool
from shared.errors import Conflict
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.conftest import Eventually
from tests.support.gateway import ACCOUNT, KEY, OTHER_KEY, READING_KEY, Gateway, running_gateway, send
from tests.support.rows import add_device, add_message, add_text

BOTH = ("/resend", "/cancel")


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[Gateway]:
    await add_device(pool)
    async with running_gateway(settings, nats_client) as running:
        yield running


async def test_resend_answers_what_a_send_does(gateway: Gateway, pool: Pool) -> None:
    message = await add_message(pool, state="failed")
    await pool.execute("update messages set wanted_sim = 2")
    for name in ("guid", "guid_message"):
        answer = await gateway.get("/resend/", apikey=KEY, **{name: message.hex().upper()})
        assert answer.status == 200
        result = answer.json()["result"]
        assert set(result) == set((await send(gateway)).json()["result"])
        assert (result["error"], result["sent"], result["id"], result["note"], result["port"]) == (
            0,
            "1",
            message.hex(),
            "resent",
            "2",
        )
    assert (await gateway.get("/resend", apikey=KEY, guid=message.hex(), force="1")).status == 200
    asked = gateway.dispatcher.of(ResendMessage)
    assert asked == [ResendMessage(account=ACCOUNT, message=message, force=force) for force in (False, False, True)]


async def test_cancel(gateway: Gateway, pool: Pool) -> None:
    message = await add_message(pool)
    answer = await gateway.get("/cancel", apikey=KEY, guid=message.hex())
    assert (answer.status, answer.json()) == (
        200,
        {"result": {"error": 0, "canceled": "1", "id": message.hex(), "note": "canceled"}},
    )
    assert gateway.dispatcher.of(CancelMessage) == [CancelMessage(account=ACCOUNT, message=message)]


@pytest.mark.parametrize("path", BOTH)
async def test_what_the_owner_refuses_is_an_application_error(gateway: Gateway, pool: Pool, path: str) -> None:
    message = await add_message(pool)
    gateway.dispatcher.error = Conflict("no", code="too_late")
    answer = await gateway.get(path, apikey=KEY, guid=message.hex())
    said = answer.json()
    assert (answer.status, said["error"], said["result"]["error"], said["result"]["sent"]) == (
        200,
        "too_late",
        "too_late",
        "no",
    )


@pytest.mark.parametrize("path", BOTH)
async def test_messages_that_are_not_there(gateway: Gateway, pool: Pool, path: str) -> None:
    message = await add_message(pool)
    deleted = await add_message(pool)
    await pool.execute("update messages set deleted_at = now() where id = $1", deleted)
    for key, guid in ((OTHER_KEY, message.hex()), (KEY, "nonsense"), (KEY, "0" * 40), (KEY, deleted.hex())):
        answer = await gateway.get(path, apikey=key, guid=guid)
        assert (answer.status, answer.json()["result"]["error"]) == (200, "not_found")
    for parameters in ({}, {"guid": ""}, {"guid": " "}):
        answer = await gateway.get(path, apikey=KEY, **parameters)
        assert (answer.status, answer.json()["error"]) == (400, "missing_guid")
    assert gateway.dispatcher.of(ResendMessage) == gateway.dispatcher.of(CancelMessage) == []


@pytest.mark.parametrize("path", [*BOTH, "/deletesms"])
async def test_without_the_owner_it_is_503(gateway: Gateway, pool: Pool, path: str) -> None:
    message = await add_message(pool)
    await gateway.dispatcher.leave()
    answer = await gateway.get(path, apikey=KEY, guid=message.hex(), guid_message=message.hex())
    assert (answer.status, answer.json()["error"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", [*BOTH, "/deletesms"])
async def test_what_is_still_a_command_is_waited_for(
    gateway: Gateway, nats_client: Client, pool: Pool, path: str, eventually: Eventually
) -> None:
    message = bytes.fromhex((await send(gateway)).json()["result"]["id"])
    asking = asyncio.create_task(gateway.get(path, apikey=KEY, guid_message=message.hex()))

    async def looked_twice() -> bool:
        query = "select count(*) from pg_stat_activity where query like '%from messages m%' and state = 'idle'"
        return bool(await pool.fetchval(query)) and not asking.done()

    await eventually(looked_twice)
    at = await add_message(pool, text="late")
    await pool.execute("update messages set id = $1 where id = $2", message, at)
    assert (await asking).json()["result"]["error"] == 0
    kind = {"/resend": ResendMessage, "/cancel": CancelMessage, "/deletesms": DeleteMessages}[path]
    assert [ask.message for ask in gateway.dispatcher.of(kind)] == [message]


async def test_a_command_that_stays_one_is_503(gateway: Gateway) -> None:
    guid = (await send(gateway)).json()["result"]["id"]
    answers = await asyncio.gather(
        *(gateway.get(path, apikey=KEY, guid_message=guid) for path in (*BOTH, "/deletesms"))
    )
    for answer in answers:
        assert (answer.status, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert gateway.dispatcher.heard == []


async def test_scopes(gateway: Gateway) -> None:
    for path in ("/resend", "/cancel", "/deletesms", "/gateway/mobile/list"):
        answer = await gateway.get(path, apikey=READING_KEY, guid="0" * 40)
        assert (answer.status, answer.json()["error"]) == (403, 1), path
    gateway.auth.accounts[digest("sends")] = Verdict(epoch=0, account=ACCOUNT, scopes=["sms:send"])
    assert (await gateway.get("/cancel", apikey="sends", guid="0" * 40)).status == 200
    assert (await gateway.get("/deletesms", apikey="sends", guid_message="0" * 40)).status == 403


async def test_deleting_one(gateway: Gateway, pool: Pool) -> None:
    message = await add_message(pool)
    number = await add_text(pool, "hi")
    guid = str(await pool.fetchval("select guid from inbox where id = $1", number))
    for wanted, expected in (
        (message.hex(), DeleteMessages(account=ACCOUNT, message=message)),
        (guid.upper(), DeleteMessages(account=ACCOUNT, inbox_guid=guid)),
    ):
        gateway.dispatcher.heard.clear()
        answer = await gateway.get("/deletesms/", apikey=KEY, guid_message=wanted)
        assert (answer.status, answer.json()) == (200, {"result": {"error": 0, "deleted": "1"}})
        assert gateway.dispatcher.of(DeleteMessages) == [expected]
    gateway.dispatcher.heard.clear()
    for nothing in ("nonsense", "0" * 40, "\0", "1"):
        answer = await gateway.get("/deletesms/", apikey=KEY, guid_message=nothing)
        assert (answer.status, answer.json()) == (200, {"result": {"error": 0, "deleted": "0"}})
    assert (await gateway.get("/deletesms/", apikey=OTHER_KEY, guid_message=message.hex())).json() == {
        "result": {"error": 0, "deleted": "0"}
    }
    assert gateway.dispatcher.of(DeleteMessages) == []


async def test_deleting_days_of_the_accounts_zone(gateway: Gateway) -> None:
    gateway.dispatcher.deleted = 12
    answer = await gateway.get("/deletesms", apikey=KEY, date_start="2026-03-28", date_end="2026-03-29")
    assert answer.json() == {"result": {"error": 0, "deleted": "12"}}
    await gateway.get("/deletesms", apikey=KEY, date_start="2026-03-20")
    await gateway.get("/deletesms", apikey=KEY, date_start="0001-01-01", date_end="9999-12-31")
    await gateway.get("/deletesms", apikey=KEY, date_start="0001-01-01", date_end="1969-12-31")
    spans = [(ask.start, ask.end) for ask in gateway.dispatcher.of(DeleteMessages)]
    # Brussels is one hour ahead of UTC, and two from 29 March 2026 on.
    assert spans == [
        (1_774_652_400.0, 1_774_821_600.0),
        (1_773_961_200.0, 1_774_047_600.0),
        (0.0, 253_402_300_799.0),
    ]


BAD_SELECTORS = [
    ({}, "missing_selector"),
    ({"guid_message": ""}, "missing_selector"),
    ({"date_end": "2026-03-20"}, "missing_date_start"),
    ({"date_start": "20.03.2026"}, "invalid_date_start"),
    ({"date_start": "2026-02-30"}, "invalid_date_start"),
    ({"date_start": "20260320"}, "invalid_date_start"),
    ({"date_start": "2026-03-20", "date_end": "tomorrow"}, "invalid_date_end"),
    ({"date_start": "2026-03-20", "date_end": "2026-03-19"}, "invalid_date_end"),
    ({"date_start": "2026-03-20", "guid_message": "0" * 40}, "ambiguous_selector"),
]


async def test_what_selects_nothing_deletes_nothing(gateway: Gateway) -> None:
    for parameters, code in BAD_SELECTORS:
        answer = await gateway.get("/deletesms/", apikey=KEY, **parameters)
        assert (answer.status, answer.json()["error"]) == (400, code), parameters
    assert gateway.dispatcher.of(DeleteMessages) == []


async def test_no_selector_means_everything_where_that_is_wanted(
    settings: ServiceSettings, nats_client: Client
) -> None:
    async with running_gateway(settings, nats_client, compat_delete_all=True) as gateway:
        assert (await gateway.get("/deletesms/", apikey=KEY)).json() == {"result": {"error": 0, "deleted": "1"}}
        (asked,) = gateway.dispatcher.of(DeleteMessages)
        assert (asked.account, asked.start, asked.message) == (ACCOUNT, 0, None)
        answer = await gateway.get("/deletesms/", apikey=KEY, date_end="2026-03-20")
        assert (answer.status, answer.json()["error"]) == (400, "missing_date_start")


async def test_commands_is_looked_at_only_for_our_own_ids(gateway: Gateway, nats_client: Client) -> None:
    """A stranger's id costs no wait."""
    await send(gateway)
    async with asyncio.timeout(1):
        assert (await gateway.get("/cancel", apikey=KEY, guid="0" * 40)).json()["error"] == "not_found"
    assert (await nats_client.jetstream().stream_info(COMMANDS.name)).state.messages >= 1
