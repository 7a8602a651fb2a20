"""The choice of phones on real Postgres: the preferred one first, anyone after the spill time, and why is told."""

import pytest
from msgspec.structs import replace

from services.dispatcher.fleet import PROBE_S, Fleet
from services.dispatcher.routing import SPILL_S, QueueKey
from services.dispatcher.states import fold
from services.dispatcher.store.inbox import Inbox
from services.dispatcher.store.leases import Asked
from services.dispatcher.store.reports import Reports
from services.dispatcher.store.roster import Pace
from services.dispatcher.store.stories import Stories
from shared.contracts.reports import TextReceived
from shared.db.pool import Pool
from shared.runtime.clock import system_clock
from tests.support.dispatching import ACCOUNT, Stores, opened, reported, submit_sms

NOBODY = QueueKey(ACCOUNT, None, None, "sms")


async def fleet_of(stores: Stores) -> Fleet:
    fleet = Fleet(stores.roster, system_clock)
    await fleet.refresh()
    return fleet


async def serving(stores: Stores) -> tuple[str, int]:
    """A phone that has asked for work before, as every phone does after its hello."""
    device, session = await opened(stores)
    await stores.lease(device, session)
    return device, session


async def recipients(stores: Stores, phone: tuple[str, int]) -> list[str]:
    return [job.recipient for job in await stores.lease(*phone) or []]


async def spilled(pool: Pool, stores: Stores) -> int:
    """What the spill time's end moves."""
    await pool.execute(f"update work set spill_at = spill_at - interval '{SPILL_S + 1} seconds'")
    return sum(count.messages for count in await stores.work.spill() or [])


async def test_the_phone_that_talked_to_the_recipient_comes_first_and_then_anyone(pool: Pool) -> None:
    stores = await Stores.on(pool)
    known = await serving(stores)
    other = await serving(stores)
    await Inbox(pool).add([received(known[0], "+15550001")])
    fleet = await fleet_of(stores)
    command = submit_sms("+15550001")
    await stores.messages.submit([command], fleet.prefer)
    assert await recipients(stores, other) == []
    story = await Stories(pool).show(command.recipients[0].id, ACCOUNT)
    assert story
    assert (story.route, story.preferred_device) == ("contact", known[0])
    assert story.waiting == "it waits for its preferred phone"
    assert await spilled(pool, stores) == 1
    assert await recipients(stores, other) == ["+15550001"]


async def test_a_sending_makes_the_phone_the_recipients_own(pool: Pool) -> None:
    stores = await Stores.on(pool)
    one, two = await serving(stores), await serving(stores)
    for phone in (one, two):
        await stores.messages.submit([submit_sms("+15550002", device=phone[0])])
        leased = await stores.lease(*phone)
        assert leased
        await stores.leases.take([Asked(leased[0].message, 1, *phone, ACCOUNT)])
        await Reports(pool).fold(fold([reported(leased[0].message, "sent", phone[0])]))
        assert await pool.fetchval("select device_id from contacts where number = '+15550002'") == phone[0]


async def test_without_a_past_the_shortest_wait_decides_and_work_is_spread(pool: Pool) -> None:
    stores = await Stores.on(pool)
    phones = [await serving(stores) for _ in range(3)]
    fleet = await fleet_of(stores)
    await stores.messages.submit([submit_sms(*[f"+1555{n}" for n in range(6)])], fleet.prefer)
    assert [len(await recipients(stores, phone)) for phone in phones] == [2, 2, 2]
    assert await pool.fetchval("select count(*) from messages where route = 'shortest_wait'") == 6


async def test_a_flood_goes_to_any_phone_at_once(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await serving(stores)
    fleet = await fleet_of(stores)
    await stores.messages.submit([submit_sms(*[f"+1555{n:04}" for n in range(100)])], fleet.prefer)
    assert await pool.fetchval("select count(*) from messages where route = 'any'") >= 90


@pytest.mark.parametrize("pin", [{"device": "d"}, {"sim": 2}])
async def test_what_is_pinned_is_never_moved(pool: Pool, pin: dict[str, object]) -> None:
    stores = await Stores.on(pool)
    device, _ = await serving(stores)
    fleet = await fleet_of(stores)
    wish = {"device": device} if "device" in pin else pin
    await stores.messages.submit([submit_sms("+1", **wish)], fleet.prefer)
    assert await pool.fetchval("select route from messages") == "pinned"
    assert await spilled(pool, stores) == 0


async def test_a_removed_phones_preferred_work_does_not_fail_with_it(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, _ = await serving(stores)
    fleet = await fleet_of(stores)
    await stores.messages.submit([submit_sms("+1")], fleet.prefer)
    await stores.phones.remove(ACCOUNT, device)
    assert await pool.fetchval("select state from messages") == "queued"
    assert await spilled(pool, stores) == 1
    assert await recipients(stores, await serving(stores)) == ["+1"]


async def test_a_retry_after_parts_went_out_stays_with_its_sim_whatever_was_preferred(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await serving(stores)
    fleet = await fleet_of(stores)
    await stores.messages.submit([submit_sms("+1")], fleet.prefer)
    leased = await stores.lease(device, session)
    assert leased
    await stores.leases.take([Asked(leased[0].message, 1, device, session, ACCOUNT)])
    failed = replace(reported(leased[0].message, "failed", device), reason="partly_sent")
    await Reports(pool).fold(fold([failed]))
    await pool.execute("update work set due = now() where state = 'later'")
    await stores.work.make_due_ready()
    assert await spilled(pool, stores) == 0
    assert len(await stores.lease(device, session) or []) == 1


async def test_a_phone_that_fails_gets_free_work_only_to_probe_and_its_own_as_ever(pool: Pool) -> None:
    stores = await Stores.on(pool)
    bad, good, _ = [await serving(stores) for _ in range(3)]
    await stores.roster.keep_paces([Pace(bad[0], 1, 9, 1.0), Pace(good[0], 10, 0, 10.0)])
    fleet = await fleet_of(stores)
    assert fleet.may_have_free_work(ACCOUNT, good[0], 0.0)
    assert [fleet.may_have_free_work(ACCOUNT, bad[0], at) for at in (0.0, 1.0, PROBE_S, PROBE_S + 1)] == [
        True,
        False,
        True,
        False,
    ]
    await stores.roster.keep_paces([Pace(bad[0], 50, 0, 50.0)])
    await fleet.refresh()
    assert fleet.may_have_free_work(ACCOUNT, bad[0], PROBE_S + 2), "it has recovered"


async def test_presence_is_told_once_and_not_for_a_short_absence(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    assert await stores.roster.tell_presence() == [], "two seconds have not passed"
    await pool.execute("update devices set opened_at = now() - interval '3 seconds'")
    assert await stores.roster.tell_presence() == [ACCOUNT]
    assert await stores.roster.tell_presence() == []
    await stores.phones.close_session(ACCOUNT, device, session)
    assert await stores.roster.tell_presence() == [], "it may come back in a moment"
    await pool.execute("update devices set closed_at = now() - interval '61 seconds'")
    assert await stores.roster.tell_presence() == [ACCOUNT]
    told = [row["type"] for row in await pool.fetch("select type from outbox where device_id = $1 order by id", device)]
    assert told == ["device.online", "device.offline"]


async def test_a_paused_phone_keeps_its_session_and_gets_nothing(pool: Pool) -> None:
    stores = await Stores.on(pool)
    phone = await serving(stores)
    await stores.messages.submit([submit_sms("+1")])
    for paused, expected in ((True, []), (False, ["+1"])):
        assert await stores.phones.change(ACCOUNT, phone[0], name=None, approved=None, paused=paused)
        assert await recipients(stores, phone) == expected
    assert not await stores.phones.change(ACCOUNT + 1, phone[0], name="mine", approved=None, paused=None)


async def test_the_expected_time_counts_what_stands_ahead(pool: Pool) -> None:
    stores = await Stores.on(pool)
    phone = await serving(stores)
    await stores.roster.keep_paces([Pace(phone[0], 100, 0, 200.0)])
    many = submit_sms(*[f"+1555{n:04}" for n in range(60)])
    one = submit_sms("+1666", submitter="key_b")
    await stores.messages.submit([many])
    await stores.messages.submit([one])
    fleet = await fleet_of(stores)
    heads = await stores.roster.heads()
    assert [head.key for head in heads] == [NOBODY]
    (rate,) = [sum(each.parts_per_s for each in fleet.online)]
    assert rate == pytest.approx(1.0), "two SIMs that need two seconds each"
    await stores.roster.keep_outlooks(heads, [rate])
    now = system_clock()
    last, single = [await Stories(pool).show(command.recipients[-1].id, ACCOUNT) for command in (many, one)]
    assert last is not None
    assert single is not None
    assert last.estimated_at is not None
    assert single.estimated_at is not None
    assert 55 <= last.estimated_at - now <= 65
    assert single.estimated_at - now <= 5
    assert last.waiting is not None
    assert last.waiting.startswith("others are before it")


async def test_quiet_hours_hold_all_but_urgent_texts(pool: Pool) -> None:
    stores = await Stores.on(pool)
    phone = await serving(stores)
    await pool.execute(
        "insert into accounts (id, name, quiet_from, quiet_until) overriding system value values "
        "($1, 'quiet', (now() - interval '1 hour')::time, (now() + interval '1 hour')::time)",
        ACCOUNT,
    )
    held, urgent = submit_sms("+1"), submit_sms("+2", priority=100)
    await stores.messages.submit([held, urgent])
    assert await recipients(stores, phone) == ["+2"]
    story = await Stories(pool).show(held.recipients[0].id, ACCOUNT)
    assert story
    assert story.waiting == "the account has its quiet hours"
    await pool.execute("update accounts set quiet_urgent = false")
    await stores.messages.submit([submit_sms("+3", priority=127)])
    assert await recipients(stores, phone) == ["+2"], "what it held already, and nothing new"
    await pool.execute("update accounts set time_zone = 'Asia/Tokyo'")
    assert await recipients(stores, phone) == ["+2", "+3", "+1"], "it is another hour there"


def received(device: str, number: str) -> TextReceived:
    return TextReceived(
        account=ACCOUNT,
        device=device,
        sim=1,
        number=number,
        text="hi",
        at=system_clock(),
        utc_offset_min=0,
        fingerprint=number.encode().ljust(32, b"."),
    )
