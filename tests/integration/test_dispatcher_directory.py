"""The phones of a large account are read page by page, by id or by name: each once, and none of another account."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from shared.contracts import registry
from shared.contracts.rpc.phones import MAX_LISTED, MAX_NAMED, Devices, ListDevices, NameDevices
from shared.errors import Invalid
from tests.support.crowd import ONLINE, crowd, in_order, name_of
from tests.support.dispatching import Stores, hello
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world

MANY = 1_000
MOST_BYTES = 256 * 1024
"""A message of NATS holds four times as many."""


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def home(installation: World) -> World:
    await installation.begin()
    return installation


async def listed(home: World, before: str | None = None, after: str | None = None, limit: int = MAX_LISTED) -> Devices:
    question = ListDevices(home.account.account, before, after, limit)
    return await home.ask.ask(registry.DISPATCHER_DEVICE_LIST, question)


def ids(found: Devices) -> list[str]:
    return [device.id for device in found.devices]


async def test_a_walk_meets_each_phone_once_while_one_comes_and_one_goes(home: World) -> None:
    account = home.account.account
    phones = await crowd(home.pool, account, MANY)
    page = await listed(home)
    assert (page.before, page.total, page.online) == (None, MANY, ONLINE)
    met = ids(page)
    new = hello(account=account)
    await Stores(home.pool).phones.open_session(new)
    # The one that marks the next page's beginning goes.
    await home.pool.execute("update devices set deleted_at = now() where id = $1", page.after)
    while page.after:
        page = await listed(home, after=page.after)
        assert len(page.devices) <= MAX_LISTED
        met += ids(page)
    assert met == [*phones, new.device]
    left = await in_order(home.pool, account)
    back = ids(page)
    while page.before:
        page = await listed(home, before=page.before)
        back = ids(page) + back
    assert back == left
    assert page.after is not None


async def test_two_pages_meet_at_a_moment_that_phones_share(home: World) -> None:
    phones = await crowd(home.pool, home.account.account, 30)
    first = await listed(home, limit=15)
    second = await listed(home, after=first.after, limit=15)
    assert ids(first) + ids(second) == phones
    assert (second.before, second.after) == (phones[15], None)
    assert ids(await listed(home, before=second.before, limit=15)) == phones[:15]
    assert ids(await listed(home, before=phones[20], limit=15)) == phones[5:20]
    one = await listed(home, after=phones[3], limit=1)
    assert (ids(one), one.before, one.after) == ([phones[4]], phones[4], phones[4])


async def test_an_answer_is_of_bounded_size_and_holds_what_is_of_its_phones(home: World) -> None:
    phones = await crowd(home.pool, home.account.account, MANY)
    page = await listed(home, after=phones[99], limit=MANY)
    assert ids(page) == phones[100 : 100 + MAX_LISTED]
    assert len(msgspec.msgpack.encode(page)) < MOST_BYTES
    assert sorted({budget.device for budget in page.budgets}) == sorted(ids(page))
    assert len(page.budgets) == 2 * MAX_LISTED
    assert [app.device for app in page.apps] == sorted(ids(page))
    account = home.account.account
    named = await home.ask.ask(registry.DISPATCHER_DEVICE_NAMES, NameDevices(account, phones[-3:], MANY))
    assert len(msgspec.msgpack.encode(named)) < MOST_BYTES
    assert [device.id for device in named.devices] == phones[: MAX_NAMED - 3] + phones[-3:]
    assert (named.total, named.online) == (MANY, ONLINE)
    assert len(named.devices[0].sims) == 2
    # Whoever knows nothing of pages is given all of them.
    assert ids(await home.devices()) == phones


async def test_some_are_asked_for_by_id_and_none_beyond_the_bound(home: World) -> None:
    account, ask = home.account.account, home.ask.ask
    phones = await crowd(home.pool, account, MAX_NAMED + 1)
    wanted = [phones[400], phones[2], "n" * 21]
    found = await ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(account, ids=wanted))
    assert ids(found) == [phones[2], phones[400]]
    assert {budget.device for budget in found.budgets} == {app.device for app in found.apps} == set(ids(found))
    named = await ask(registry.DISPATCHER_DEVICE_NAMES, NameDevices(account, wanted))
    assert [device.name for device in named.devices] == [name_of(2), name_of(400)]
    with pytest.raises(Invalid):
        await ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(account, ids=phones[: MAX_LISTED + 1]))
    with pytest.raises(Invalid):
        await ask(registry.DISPATCHER_DEVICE_NAMES, NameDevices(account, phones))


async def test_another_accounts_phone_is_neither_found_nor_a_place(home: World) -> None:
    strange = await crowd(home.pool, home.account.account, 30)
    await home.begin()
    account, ask = home.account.account, home.ask.ask
    mine = await crowd(home.pool, account, 30)
    nothing = Devices([], total=30, online=30)
    for place in (strange[3], "n" * 21):
        assert await listed(home, before=place) == await listed(home, after=place) == nothing
    assert ids(await ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(account, ids=[strange[3], mine[3]]))) == mine[3:4]
    named = await ask(registry.DISPATCHER_DEVICE_NAMES, NameDevices(account, [strange[3]], 5))
    assert [device.id for device in named.devices] == mine[:4]
    await home.begin()
    assert await listed(home) == Devices([])
    assert (await ask(registry.DISPATCHER_DEVICE_NAMES, NameDevices(home.account.account, [mine[0]], 5))).devices == []
