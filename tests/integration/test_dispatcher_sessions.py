"""Sessions, journals and the end of phones on real Postgres."""

from services.dispatcher.store.leases import Asked
from services.dispatcher.store.stories import Stories
from shared.contracts.rpc.phones import SessionRef
from shared.db.pool import Pool
from tests.support.dispatching import ACCOUNT, Stores, hello, message_row, opened, submit_sms, taken_one


async def test_an_older_session_may_neither_lease_nor_take(pool: Pool) -> None:
    stores = await Stores.on(pool)
    await stores.messages.submit([submit_sms("+1")])
    device, old = await opened(stores)
    leased = await stores.lease(device, old)
    assert leased
    _, new = await opened(stores, device=device)
    assert await stores.lease(device, old) is None
    ask = Asked(leased[0].message, 1, device, old, ACCOUNT)
    assert await stores.leases.take([ask]) == set()
    again = await stores.lease(device, new)
    assert again
    assert again[0].message == leased[0].message


async def test_taken_work_of_the_same_journal_is_given_again_and_of_another_is_unknown(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, _, message = await taken_one(stores)
    reopened = await stores.phones.open_session(hello(device))
    assert reopened is not None
    assert [(job.message, job.attempt) for job in reopened.again] == [(message, 1)]
    assert await stores.leases.take([Asked(message, 1, device, reopened.session, ACCOUNT)]) == {(message, 1)}
    wiped = await stores.phones.open_session(hello(device, journal="journal-2"))
    assert wiped is not None
    assert wiped.again == []
    assert await message_row(pool, message) == ("unknown", "new journal")
    assert await pool.fetchval("select count(*) from work") == 0


async def test_renewing_names_the_sessions_that_are_no_longer_the_newest(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, old = await opened(stores)
    other, other_session = await opened(stores)
    _, new = await opened(stores, device=device)
    refs = [SessionRef(device, old), SessionRef(other, other_session)]
    assert await stores.phones.renew(refs) == [SessionRef(device, old)]
    assert await stores.phones.renew([SessionRef(device, new)]) == []


async def test_another_accounts_hello_does_not_get_the_device(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, _ = await opened(stores)
    assert await stores.phones.open_session(hello(device, account=ACCOUNT + 1)) is None


async def test_a_removed_phone_loses_its_work_and_what_is_pinned_to_it_fails(pool: Pool) -> None:
    stores = await Stores.on(pool)
    device, session = await opened(stores)
    other, other_session = await opened(stores)
    taken, pinned, free = submit_sms("+1"), submit_sms("+2", device=device), submit_sms("+3")
    await stores.messages.submit([taken])
    leased = await stores.lease(device, session)
    assert leased
    await stores.leases.take([Asked(leased[0].message, 1, device, session, ACCOUNT)])
    await stores.messages.submit([pinned, free])
    assert await stores.lease(device, session, places=1)
    assert await stores.phones.remove(ACCOUNT + 1, device) is None
    assert await stores.phones.remove(ACCOUNT, device) is not None
    assert await stores.phones.remove(ACCOUNT, device) is None
    assert await message_row(pool, taken.recipients[0].id) == ("unknown", "device removed")
    assert await message_row(pool, pinned.recipients[0].id) == ("failed", "device_removed")
    assert await stores.lease(device, session) is None
    assert await stores.phones.open_session(hello(device)) is None
    again = await stores.lease(other, other_session)
    assert again
    assert [job.recipient for job in again] == ["+3"]
    late = submit_sms("+4", device=device)
    await stores.messages.submit([late])
    assert await stores.phones.fail_orphaned() == 1
    assert await Stories(pool).resend(late.recipients[0].id, ACCOUNT, force=False) == ("not_in_error", None)
