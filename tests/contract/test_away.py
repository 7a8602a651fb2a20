"""While the owner of the rows does not answer: 503 with Retry-After in the documented shape, and then all is well."""

import asyncio
import time
from typing import Any

import pytest

from tests.contract.conftest import Account, World
from tests.support.freezing import frozen
from tests.support.http import Response
from tests.support.waiting import until

CLIENTS_WAIT_S = 10.0
"""Contract 2.1: how long clients wait for an answer."""


@pytest.fixture(scope="module")
async def account(standing_world: World) -> Account:
    return await standing_world.fresh("away")


def busy(answer: Response, *, lists: bool = False) -> None:
    """The answer of a gateway that cannot know now."""
    assert answer.status == 503, answer
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    told = answer.json()
    assert told == {
        "error": "unavailable",
        "message": told["message"],
        "result": {"error": "unavailable", "note": told["message"], "sent": "no", "id": None}
        | ({"sms": []} if lists else {}),
    }


async def asked(world: World, account: Account, path: str, **parameters: object) -> Response:
    """An answer within the time that clients give it."""
    async with asyncio.timeout(CLIENTS_WAIT_S):
        return await world.system.get(path, account.key, **parameters)


async def canceled(world: World, account: Account, guid: str) -> dict[str, Any] | None:
    """The log's row once it says so."""
    rows = await world.system.log(account.key, guid_message=guid)
    return rows[0] if rows and rows[0]["error_api"] == "canceled" else None


async def test_changes_while_the_dispatcher_is_away(world: World, account: Account) -> None:
    system = world.system
    guid = await system.send("waits", key=account.key, schedule_timestamp=int(time.time()) + 86_400)

    async def stored() -> bool:
        (row,) = await system.log(account.key, guid_message=guid)
        return bool(row["message"] == "waits")

    await until(stored, "the message is in the log")
    with frozen(system.service("dispatcher")["pid"]):
        answers = await asyncio.gather(
            asked(world, account, "/cancel/", guid=guid),
            asked(world, account, "/resend/", guid=guid),
            asked(world, account, "/deletesms/", guid_message=guid),
        )
        log = await asked(world, account, "/log/sent/sms/", guid_message=guid)
    for answer in answers:
        busy(answer)
    assert log.status == 200, log
    assert (await asked(world, account, "/cancel/", guid="0" * 40)).json()["result"]["error"] == "not_found"


async def test_a_message_that_is_not_stored_yet_is_waited_for(world: World, account: Account) -> None:
    system = world.system
    with frozen(system.service("dispatcher")["pid"]):
        guid = await system.send("in a moment", key=account.key, schedule_timestamp=int(time.time()) + 86_400)
        (row,) = await system.log(account.key, guid_message=guid)
        assert row["status"] == "Pending"
        cancel = asyncio.create_task(asked(world, account, "/cancel/", guid=guid))
    answer = await cancel
    assert answer.status == 200, answer
    assert answer.json()["result"]["canceled"] == "1"
    assert await until(lambda: canceled(world, account, guid), "the log says canceled")


async def test_lists_while_postgres_is_away(world: World, account: Account) -> None:
    with world.system.halted("postgres"):
        log, inbox, phones, sent = await asyncio.gather(
            asked(world, account, "/log/sent/sms/"),
            asked(world, account, "/getsms/"),
            asked(world, account, "/gateway/mobile/list/"),
            asked(world, account, "/sendsms/", recipients="+15550000001", message="accepted all the same"),
        )
    busy(log, lists=True)
    busy(inbox, lists=True)
    busy(phones)
    assert sent.status == 200, sent
    await world.system.succeeded(sent.json()["result"]["id"], account.key)
