"""Phones of the app's kind at the whole installation: pulls, reports and cancels, with the radios' sends counted."""

import time
from collections.abc import AsyncIterator

import pytest

from shared.contracts import registry
from shared.contracts.phone import Sim
from shared.contracts.rpc.messages import CancelMessage
from shared.contracts.rpc.phones import ChangeDevice
from tests.support.scripted import ScriptedPhone
from tests.support.servers import Servers
from tests.support.smsgate_calls import Caller
from tests.support.smsgate_world import World, device_of, world
from tests.support.waiting import until


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


async def test_a_phone_registers_and_sends(here: World) -> None:
    phone = await here.handset()
    async with here.connected(phone) as app:
        guids = [await here.send(f"hello {n}") for n in range(5)]
        for guid in guids:
            await here.becomes(guid, "delivered")
        await app.settled()
        assert sorted(str(line["message_id"]) for line in phone.radio.lines) == sorted(guids)
        device = await here.device(phone)
        assert (device.protocol, device.online, device.approved, device.held) == ("smsgate", True, True, 0)
        assert device.software == "me.capcom.smsgateway/1.68.0"
        assert device.sims[0] == Sim(slot=1, number=device.sims[0].number, carrier="ated")


async def test_a_list_holds_what_the_phone_can_send_soon(here: World) -> None:
    phone = await here.caller()
    guids = [await here.send(f"text {n}", sIdentifiant=phone.device) for n in range(20)]
    await here.ready(*guids)
    first = await phone.pull()
    assert len(first) == 8
    item = first[0]
    assert len(item["id"]) == 34
    assert item.keys() == {
        "id", "textMessage", "phoneNumbers", "simNumber", "withDeliveryReport", "validUntil", "priority", "state",
    }  # fmt: skip
    assert (item["textMessage"], item["phoneNumbers"], item["state"]) == (
        {"text": "text 0"},
        ["+15551230000"],
        "Pending",
    )
    assert len(item["validUntil"]) == len("2026-01-01T00:00:00.000Z")
    assert await phone.pull() == []
    for each in first:
        await phone.say(each["id"], "Sent")
    await here.becomes(guids[0], "sent")
    second = await until(phone.pull, "there is more")
    assert {each["id"] for each in first}.isdisjoint(each["id"] for each in second)


async def test_a_pace_that_was_measured_counts(here: World) -> None:
    phone = await here.caller()
    await here.pool.execute("insert into paces values ($1, 10, 0, 1, now())", phone.device)
    guids = [await here.send(f"text {n}", sIdentifiant=phone.device) for n in range(110)]
    await here.ready(*guids)
    assert len(await phone.pull()) == 100
    assert await phone.pull() == []


async def test_a_budget_that_is_used_up_gives_nothing(here: World) -> None:
    phone = await here.caller(limited=True)
    await here.budget(phone.device, per_minute=2)
    guids = [await here.send(f"text {n}", sIdentifiant=phone.device) for n in range(8)]
    await here.ready(*guids)
    assert sorted(item["simNumber"] for item in await phone.pull()) == [1, 1, 2, 2]
    assert await phone.pull() == []


async def test_a_list_that_may_be_lost_is_given_again(here: World) -> None:
    phone = await here.caller()
    guids = [await here.send(f"text {n}", sIdentifiant=phone.device) for n in range(4)]
    await here.ready(*guids)
    unheard, pending, sent, _ = await phone.pull()
    await phone.say(pending["id"], "Pending")
    await phone.say(sent["id"], "Sent")

    async def noted() -> bool:
        heard: bool = await here.pool.fetchval(
            "select count(*) = 1 from work where heard_at is not null and holder = $1", phone.device
        )
        return heard

    await until(noted, "the phone has spoken of it")
    await here.becomes(guids[2], "sent")
    assert await phone.pull() == []
    await here.pass_time(310)
    await here.pool.execute("update work set heard_at = now() where heard_at is not null")
    fresh = await here.send("new", sIdentifiant=phone.device)
    await here.ready(fresh)
    again = await phone.pull()
    assert again[0]["textMessage"]["text"] == "new"
    assert unheard == again[1]
    assert pending["id"] not in [item["id"] for item in again]
    assert sent["id"] not in [item["id"] for item in again]
    await here.pass_time(86_400)
    assert unheard["id"] not in [item["id"] for item in await phone.pull()]


async def test_at_most_ten_are_given_again(here: World) -> None:
    phone = await here.caller()
    await here.pool.execute("insert into paces values ($1, 10, 0, 1, now())", phone.device)
    guids = [await here.send(f"text {n}", sIdentifiant=phone.device) for n in range(15)]
    await here.ready(*guids)
    first = await phone.pull()
    await here.pass_time(310)
    assert [item["id"] for item in await phone.pull()] == [item["id"] for item in first[:10]]
    # A new registration says that the phone's memory may be gone: nothing is asked of it again.
    phone.token = await here.key()
    old, phone.device = phone.device, ""
    await phone.register()
    assert phone.device != old


async def test_reports_in_any_order(here: World) -> None:
    phone, other = await here.caller(), await here.caller()
    guid = await here.send("text", sIdentifiant=phone.device)
    await here.ready(guid)
    ((item),) = await phone.pull()
    now = time.time()
    await other.say(item["id"], "Failed", "Send result: RESULT_ERROR_NO_SERVICE")
    await phone.say("no id of ours", "Sent")
    await phone.say("a" * 34, "Sent")
    await phone.say(item["id"], "Delivered", Sent=now - 2, Processed=now - 3)
    await phone.say(item["id"], "Processed")
    await phone.say(item["id"], "Sent", Sent=now - 2)
    await here.becomes(guid, "delivered")
    row = await here.pool.fetchrow("select sent_at, delivered_at from messages where id = $1", bytes.fromhex(guid))
    assert row is not None
    assert abs(row["sent_at"].timestamp() - (now - 2)) < 0.01
    assert [change.state for change in (await here.story(guid)).changes][-2:] == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        ("Send result: RESULT_ERROR_NO_SERVICE", "scheduled", "no_service"),
        ("Send result: RESULT_ERROR_FDN_CHECK_FAILURE", "failed", "invalid_number"),
        ("TTL expired", "scheduled", "expired"),
    ],
)
async def test_failures(here: World, error: str, state: str, reason: str) -> None:
    phone = await here.caller()
    guid = await here.send("text", sIdentifiant=phone.device)
    await here.ready(guid)
    (item,) = await phone.pull()
    await phone.say(item["id"], "Failed", error)

    async def folded() -> bool:
        story = await here.story(guid)
        return (story.state, story.reason) == (state, reason)

    await until(folded, f"it is {state} for {reason}")
    if reason == "expired":
        await until(lambda: here.flagged(phone.device, "wrong_clock"), "the clock is flagged")
    assert not await here.flagged(phone.device, "silent_receiver")


async def test_what_was_really_too_old_says_nothing_of_the_clock(here: World) -> None:
    late, wrong = await here.caller(), await here.caller()
    guids = [await here.send("text", sIdentifiant=phone.device) for phone in (late, wrong)]
    await here.ready(*guids)
    (old,), (new,) = await late.pull(), await wrong.pull()
    await here.pool.execute(
        "update attempts set taken_at = now() - interval '61 seconds' where device_id = $1", late.device
    )
    await late.say(old["id"], "Failed", "TTL expired")
    await wrong.say(new["id"], "Failed", "TTL expired")
    # Both were told to the dispatcher in this order.
    await until(lambda: here.flagged(wrong.device, "wrong_clock"), "the clock is flagged")
    assert not await here.flagged(late.device, "wrong_clock")


async def test_a_taken_message_is_asked_back(here: World) -> None:
    phone = await here.caller()
    guid = await here.send("text", sIdentifiant=phone.device)
    async with phone.stream() as events:
        await here.ready(guid)
        (item,) = await phone.pull()
        wish = CancelMessage(account=here.account.account, message=bytes.fromhex(guid))
        assert (await here.ask.ask(registry.DISPATCHER_CANCEL, wish)).wished
        while (event := await events.next()) == ("MessageEnqueued", None):
            pass
        assert event == ("MessageCancelled", {"messageId": item["id"]})
    assert await phone.pull() == [item | {"state": "Cancelling"}]
    await phone.say(item["id"], "Cancelled")
    await here.becomes(guid, "canceled")
    assert await phone.pull() == []


async def test_a_phone_that_was_away_hears_what_it_missed(here: World) -> None:
    phone = await here.handset()
    async with here.connected(phone) as app:
        await here.pause(device_of(phone), 3_600_000, 3_600_000)

        async def told() -> bool:
            return app.preferences.messages.send_interval_max == 3600

        await until(told, "the app rests for an hour after each text")
        sent = await here.send("sent")
        await here.becomes(sent, "delivered")
        waiting = await here.send("waiting")
        await here.becomes(waiting, "taken")
        wish = CancelMessage(account=here.account.account, message=bytes.fromhex(waiting))
        assert (await here.ask.ask(registry.DISPATCHER_CANCEL, wish)).wished
        await here.becomes(waiting, "canceled")
    missed = await here.send("missed")
    await here.ready(missed)
    phone.clock.advance(3600)
    async with here.connected(phone):
        await here.becomes(missed, "delivered")
    assert [line["message_id"] for line in phone.radio.lines] == [sent, missed]


async def test_a_mixed_fleet(here: World) -> None:
    phone = await here.handset()
    async with ScriptedPhone(here.url, await here.key()) as socket:
        async with here.connected(phone):
            guids = [await here.send(f"text {n}", to=f"+1555123{n:04}") for n in range(30)]
            for guid in guids:
                await here.becomes(guid, "delivered")
            by_app = {str(line["message_id"]) for line in phone.radio.lines}
            by_socket = {guid for guid in guids if socket.of(guid)}
            assert by_app | by_socket == set(guids)
            assert not by_app & by_socket
            assert by_app
            assert by_socket
        alone = [await here.send(f"socket alone {n}") for n in range(3)]
        for guid in alone:
            await here.becomes(guid, "delivered")
        assert all(socket.of(guid) for guid in alone)
    async with here.connected(phone):
        guid = await here.send("app alone")
        await here.becomes(guid, "delivered")
    assert str(phone.radio.lines[-1]["message_id"]) == guid


async def test_pause_and_approval(here: World) -> None:
    many = await here.key(multi=True)
    phone = await Caller(here.url, many).register()
    guid = await here.send("text", sIdentifiant=phone.device)
    await here.ready(guid)
    assert await phone.pull() == []

    async def change(*, approved: bool | None = None, paused: bool | None = None) -> None:
        wish = ChangeDevice(account=here.account.account, device=phone.device, approved=approved, paused=paused)
        await here.ask.ask(registry.DISPATCHER_DEVICE_CHANGE, wish)

    await change(approved=True, paused=True)
    assert await phone.pull() == []
    await change(paused=False)
    assert len(await phone.pull()) == 1


async def test_a_phone_that_may_not_tell_its_sims_uses_the_one_that_android_chooses(here: World) -> None:
    phone = await Caller(here.url, await here.key()).register(sims=[])
    guid = await here.send("text", sIdentifiant=phone.device)
    await here.ready(guid)
    (item,) = await phone.pull()
    assert "simNumber" not in item
