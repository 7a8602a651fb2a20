"""What needs a person's eye is flagged, and nothing else is."""

from services.dispatcher.store.leases import Asked
from services.dispatcher.store.watch import Watch
from shared.contracts.rpc.messages import Flag
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, hello, submit_sms


async def kinds(pool: Pool) -> list[tuple[str, int]]:
    return sorted((flag.kind, flag.messages) for flag in await Watch(pool).flags())


async def test_what_waits_is_flagged_with_the_reason(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1", "+2")])
    assert await kinds(pool) == []
    await pool.execute("update work set due = now() - interval '2 minutes'")
    assert await kinds(pool) == [("no_phone", 2)]
    await stores.phones.open_session(hello())
    assert await kinds(pool) == [("late", 2)]


async def test_an_online_phone_that_took_and_says_nothing_is_flagged_and_then_the_unknown(pool: Pool) -> None:
    stores = await Stores.on(pool)
    greeting = hello()
    opened = await stores.phones.open_session(greeting)
    assert opened is not None
    await stores.messages.submit([submit_sms("+1")])
    leased = await stores.lease(greeting.device, opened.session)
    assert leased
    await stores.leases.take([Asked(leased[0].message, 1, greeting.device, opened.session, ACCOUNT)])
    assert await kinds(pool) == []
    await pool.execute("update work set taken_at = now() - interval '3 minutes'")
    assert await kinds(pool) == [("unreported", 1)]
    (flag,) = await Watch(pool).flags()
    assert flag.device == greeting.device
    await stores.phones.open_session(hello(greeting.device, journal="journal-2"))
    assert await kinds(pool) == [("unknown", 1)]


async def test_an_account_is_told_of_its_own_only(pool: Pool) -> None:
    stores = await Stores.on(pool)
    other = ACCOUNT + 1
    await stores.messages.submit([submit_sms("+1")])
    await stores.messages.submit([submit_sms("+1", "+2", account=other)])
    await pool.execute("update work set due = now() - interval '2 minutes'")
    mine = hello(protocol="smsgate")
    await stores.phones.open_session(mine)
    await stores.phones.open_session(hello(account=other, protocol="smsgate"))
    await pool.execute("insert into apps (device_id, clock_off_s, hooked_at) select id, 90, now() from devices")

    def told(flags: list[Flag]) -> list[tuple[str, int, int]]:
        return sorted((flag.kind, flag.account, flag.messages) for flag in flags)

    watch = Watch(pool)
    assert told(await watch.flags(ACCOUNT)) == [("late", ACCOUNT, 1), ("wrong_clock", ACCOUNT, 0)]
    assert told(await watch.flags(other)) == [("late", other, 2), ("wrong_clock", other, 0)]
    assert told(await watch.flags()) == sorted(told(await watch.flags(ACCOUNT)) + told(await watch.flags(other)))
    assert await watch.flags(other + 1) == []
