"""What their owner wishes of phones of the app's kind while they run: a pause between texts, the end of a campaign."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.smsgate.phone import Phone
from shared.contracts import registry
from shared.contracts.rpc import campaigns
from shared.contracts.rpc.campaigns import Campaign
from tests.support.servers import Servers
from tests.support.smsgate_calls import Caller, Events
from tests.support.smsgate_world import World, device_of, world
from tests.support.waiting import until

ROWS = 5


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


async def test_a_pause_is_told_at_once_and_taken_back(here: World) -> None:
    phone = await here.handset()

    async def rests(app: Phone, shortest: int, longest: int) -> None:
        async def told() -> bool:
            messages = app.preferences.messages
            return (messages.send_interval_min, messages.send_interval_max) == (shortest, longest)

        await until(told, f"the app rests for {shortest} to {longest} s")

    async with here.connected(phone) as app:
        await rests(app, 0, 0)
        await here.pause(device_of(phone), 1500, 2500, slot=2)
        await rests(app, 2, 3)
    async with here.connected(phone, unlimited=False) as app:
        await rests(app, 2, 3)
        await here.pause(device_of(phone), 0, 0)
        await rests(app, 0, 0)


async def test_a_phone_that_rests_is_given_less(here: World) -> None:
    phone = await here.caller()
    await here.pool.execute("insert into paces values ($1, 10, 0, 1, now())", phone.device)
    await here.pause(phone.device, 5000, 10_000)
    guids = [await here.send(f"text {n}", sIdentifiant=phone.device) for n in range(6)]
    await here.ready(*guids)
    assert len(await phone.pull()) == 2


async def canceled(events: Events) -> str:
    """The attempt that the phone is asked next to leave."""
    while (event := await events.next()) and event[0] != "MessageCancelled":
        pass
    assert event is not None
    return str(event[1]["messageId"])


async def test_a_canceled_campaign_asks_phones_to_leave_what_they_took(here: World) -> None:
    phone = await here.caller()
    account = here.account.account
    wish = campaigns.CreateCampaign(account=account, name="spring sale", text="hello", device=phone.device)
    id = (await here.ask.ask(registry.DISPATCHER_CAMPAIGN_CREATE, wish)).campaign.id
    rows = [campaigns.Row(f"+1555123{n:04}") for n in range(ROWS)]
    await here.ask.ask(registry.DISPATCHER_CAMPAIGN_ADD, campaigns.AddRows(account=account, id=id, after=0, rows=rows))
    await here.ask.ask(registry.DISPATCHER_CAMPAIGN_START, campaigns.StartCampaign(account=account, id=id))
    other = await here.send("of no campaign", sIdentifiant=phone.device)
    listed = await all_listed(phone, ROWS + 1)
    (apart,) = [each for each in listed if each["textMessage"]["text"] != "hello"]
    sent, failed, *left = [each["id"] for each in listed if each is not apart]
    async with phone.stream() as events:
        await phone.say(sent, "Sent")
        await until(lambda: counted(here, id, sent=1), "one was sent")
        await here.ask.ask(registry.DISPATCHER_CAMPAIGN_CANCEL, campaigns.CancelCampaign(account=account, id=id))
        asked = {await canceled(events) for _ in range(ROWS - 1)}
        assert asked == {failed, *left}
    again = await phone.pull()
    assert {each["id"] for each in again if each["state"] == "Cancelling"} == asked
    await phone.say(failed, "Failed", "Send result: RESULT_ERROR_NO_SERVICE")
    for each in left:
        await phone.say(each, "Cancelled")
    ended = await until(lambda: counted(here, id, sent=1, failed=1, canceled=ROWS - 2), "the campaign is over")
    assert ended.working == 0
    assert await here.state(other) == "taken"


async def all_listed(phone: Caller, count: int) -> list[dict[str, Any]]:
    """What its lists hold, until they held so many."""
    listed: list[dict[str, Any]] = []

    async def enough() -> bool:
        listed.extend(await phone.pull())
        return len(listed) >= count

    await until(enough, f"the phone has {count} texts")
    return listed


async def counted(here: World, id: str, **counts: int) -> Campaign | None:
    """The campaign, once its counters say so."""
    ask = campaigns.ListCampaigns(account=here.account.account, id=id)
    (found,) = (await here.ask.ask(registry.DISPATCHER_CAMPAIGN_LIST, ask)).campaigns
    return found if all(getattr(found, name) == count for name, count in counts.items()) else None
