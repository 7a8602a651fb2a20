"""Two accounts with the same numbers: whatever one names, in any parameter of any route, the other's stays its own.

The routes and parameters come from the gateway's own document, so that a new one is walked by itself.
"""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.model.ids import MessageId, attempt_id
from tests.contract.conftest import Account, World
from tests.support.http import FORM, Connection, Response, ask, connect, form, query
from tests.support.scripted import FAIL, KEEP
from tests.support.system import System
from tests.support.waiting import until

NUMBER = "+32471234567"
SENDER = "+32475000001"
GOOD = {"recipients": NUMBER, "message": "birch"}
"""What a request of the other account says unless it names something."""

FURTHER = ("guid", "guid_message", "before", "sIdentifiant", "sIdentifiantPhone", "sid", "client_ref", "keyword", "id")
"""Names that are tried on every route, documented there or not."""

CALLERS = 6


@dataclass
class Estate:
    """All that an account has, by what it is."""

    account: Account
    word: str
    """Stands in each of its texts and in no other account's."""
    things: dict[str, str]
    """What a stranger might learn: ids and names."""

    @property
    def secrets(self) -> list[str]:
        """What must never be seen by others."""
        return [*self.things.values(), self.word]


async def furnished(world: World, account: Account, word: str) -> Estate:
    """An account with a message in each state, texts, a key that was used and a phone."""
    system, key = world.system, account.key
    assert account.phone is not None
    reference = secrets.token_hex(10)
    sent = await system.send(f"{word} sent", NUMBER, key, client_ref=reference)
    failed = await system.send(f"{FAIL} {word}", NUMBER, key)
    kept = await system.send(f"{KEEP} {word}", NUMBER, key)
    waiting = await system.send(f"{word} waits", NUMBER, key, schedule_timestamp=int(time.time()) + 86_400)
    canceled = await system.send(f"{word} canceled", NUMBER, key, schedule_timestamp=int(time.time()) + 86_400)
    assert (await system.get("/cancel/", key, guid=canceled)).status == 200
    for text in ("first", "second"):
        await account.phone.receive(SENDER, f"{word} {text}")
    wanted = {sent: "Success", failed: "Error", kept: "Pending", waiting: "Pending", canceled: "Error"}

    async def settled() -> bool:
        states = {row["guid"]: row["status"] for row in await system.log(key)}
        taken = account.phone is not None and kept in account.phone.taken
        return states == wanted and taken and len(await system.inbox(key)) == 2

    await until(settled, "the account has all its messages and texts")
    received = {row["message"].rpartition(" ")[2]: row["guid"] for row in await system.inbox(key)}
    things = {
        "sent": sent,
        "failed": failed,
        "taken": kept,
        "waiting": waiting,
        "canceled": canceled,
        "first text": received["first"],
        "second text": received["second"],
        "phone": account.device,
        "phone's name": account.phone.name,
        "reference": reference,
    }
    return Estate(account, word, things)


async def state(world: World, estate: Estate) -> list[Any]:
    """All of it as its owner sees it."""
    mobiles = (await world.system.get("/gateway/mobile/list/", estate.account.key)).json()["items"]
    return [
        await world.system.log(estate.account.key),
        await world.system.inbox(estate.account.key),
        [(each["sid"], each["label"], each["online"]) for each in mobiles],
    ]


@pytest.fixture(scope="module")
async def amber(standing_world: World) -> Estate:
    """The account that must not be touched."""
    return await furnished(standing_world, await standing_world.fresh("amber"), f"amber{secrets.token_hex(4)}")


@pytest.fixture(scope="module")
async def birch(standing_world: World) -> Account:
    """The account that tries."""
    account = await standing_world.fresh("birch")
    await standing_world.system.send("birch", NUMBER, account.key)
    assert account.phone is not None
    await account.phone.receive(SENDER, "birch")
    return account


@pytest.fixture(scope="module")
async def routes(system: System) -> dict[tuple[str, str], list[str]]:
    """The parameters of each method and path."""
    document = (await ask(system.base_url, "GET", "/openapi.json")).json()
    return {
        (method.upper(), path): [each["name"] for each in operation.get("parameters", [])]
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict)
    }


@dataclass(frozen=True)
class Try:
    """One request of the stranger's."""

    method: str
    path: str
    name: str
    value: str


def tries(method: str, path: str, names: list[str], estate: Estate) -> Iterator[Try]:
    """Each parameter of the route with everything that the other account has, and with times that include it."""
    now = int(time.time())
    values = [*estate.secrets, f"{KEEP} {estate.word}", NUMBER, SENDER, estate.account.name]
    times = [time.strftime("%Y-%m-%d"), str(now + 60), str(now - 3600), "1", "yes", "0"]
    for name in dict.fromkeys([*names, *FURTHER, "Idempotency-Key"]):
        if name == "apikey":
            continue
        # The other spelling of a path has the same handler: a few suffice there.
        chosen = [*values, *times] if path.endswith("/") == (method == "GET") else [*values[::4], *times[:2]]
        yield from (Try(method, path, name, value) for value in chosen)


async def test_no_route_shows_or_changes_anything_of_another_account(
    world: World, amber: Estate, birch: Account, routes: dict[tuple[str, str], list[str]]
) -> None:
    assert len(routes) > 20
    before = await state(world, amber)
    faults: list[str] = []
    statuses: Counter[int] = Counter()
    # Sending comes last: what a stranger has sent with these values in it may be shown to it ever after.
    for (method, path), names in sorted(routes.items(), key=lambda route: "sendsms" in route[0][1]):
        todo = iter(list(tries(method, path, names, amber)))
        await asyncio.gather(*(_walk(world, birch, amber, todo, statuses, faults) for _ in range(CALLERS)))
        assert not faults, "\n".join(faults[:5])
        assert await state(world, amber) == before, f"{method} {path} changed what is not its caller's"
    assert statuses[200] > statuses.total() / 3, f"most tries were no good requests: {statuses}"
    assert await _unread(world, amber) == ["first", "second"], "nobody else has read its texts"
    assert amber.account.phone is not None
    assert [job.text for job in amber.account.phone.performed] == [f"{amber.word} sent"], (
        "nothing was sent by its phone"
    )


async def _walk(
    world: World, stranger: Account, estate: Estate, todo: Iterator[Try], statuses: Counter[int], faults: list[str]
) -> None:
    connection: Connection = await connect(world.system.base_url)
    try:
        for one in todo:
            answer = await _tried(connection, one, stranger)
            statuses[answer.status] += 1
            if answer.status >= 500:
                faults.append(f"{one}: {answer}")
            # What the caller said itself may come back to it, and nothing else.
            body = answer.body.decode().replace(json.dumps(one.value)[1:-1], "")
            faults += [f"{one} sees {each}: {answer.body!r}" for each in estate.secrets if each in body]
    finally:
        await connection.close()


async def _tried(connection: Connection, one: Try, stranger: Account) -> Response:
    parameters: dict[str, object] = {"apikey": stranger.key}
    headers: dict[str, str] = {}
    if "sendsms" in one.path:
        parameters |= GOOD
    if one.name == "Idempotency-Key":
        headers["Idempotency-Key"] = one.value
    else:
        parameters[one.name] = one.value
    if one.method == "POST":
        return await connection.request("POST", one.path, body=form(**parameters), headers=FORM | headers)
    return await connection.request(one.method, query(one.path, **parameters), headers=headers)


async def _unread(world: World, estate: Estate) -> list[str]:
    rows = await world.system.inbox(estate.account.key, onlyunread="yes")
    return sorted(row["message"].rpartition(" ")[2] for row in rows)


async def test_the_owner_meets_its_own_by_the_same_names(world: World) -> None:
    """So that the walk would have found something."""
    owner = await furnished(world, await world.fresh("owner"), f"cedar{secrets.token_hex(4)}")
    system, key, things = world.system, owner.account.key, owner.things
    (row,) = await system.log(key, guid_message=things["sent"])
    assert owner.word in row["message"]
    assert len(await system.log(key, keyword=owner.word)) == 5
    assert len(await system.log(key, before=things["canceled"])) == 4
    assert len(await system.inbox(key, sIdentifiantPhone=things["phone"])) == 2
    (mobile,) = (await system.get("/gateway/mobile/list/", key, sid=things["phone"])).json()["items"]
    assert mobile["label"] == things["phone's name"]
    parameters = {"message": f"{owner.word} sent", "recipients": NUMBER, "client_ref": things["reference"]}
    again = await system.get("/sendsms/", key, **parameters)
    assert again.json()["result"]["id"] == things["sent"]
    assert (await system.get("/cancel/", key, guid=things["waiting"])).json()["result"]["error"] == 0
    assert (await system.get("/resend/", key, guid=things["failed"])).json()["result"]["error"] == 0
    for thing in ("sent", "first text"):
        deleted = await system.get("/deletesms/", key, guid_message=things[thing])
        assert deleted.json()["result"]["deleted"] == "1"
    day = (await system.log(key))[0]["date"]
    deleted = await system.get("/deletesms/", key, date_start=day, date_end=_day_after(day))
    assert deleted.json()["result"]["deleted"] == "5"


def _day_after(day: str) -> str:
    """The account's own day may be the next one already."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.mktime(time.strptime(day, "%Y-%m-%d")) + 36 * 3600))


async def test_no_phone_reports_on_another_accounts_messages(world: World, amber: Estate, birch: Account) -> None:
    before = await state(world, amber)
    assert birch.phone is not None
    for thing in ("taken", "waiting", "sent"):
        attempt = attempt_id(MessageId(bytes.fromhex(amber.things[thing])), 1)
        await birch.phone.report(attempt, "failed")
    # Its own text comes behind those reports and is stored after them.
    guid = await world.system.send("birch behind", NUMBER, birch.key)
    await world.system.succeeded(guid, birch.key)
    assert await state(world, amber) == before
