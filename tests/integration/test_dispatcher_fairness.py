"""Nobody stands in front of anybody else: big submitters, bad recipients, full SIMs, absent phones, held campaigns."""

import itertools
from typing import Any

from services.dispatcher.budgets import Limits
from services.dispatcher.fleet import Fleet
from services.dispatcher.states import fold
from services.dispatcher.store.budgets import Budgets
from services.dispatcher.store.leases import Asked
from services.dispatcher.store.reports import Reports
from shared.db.pool import Pool
from shared.runtime.clock import system_clock
from tests.support.dispatching import ACCOUNT, Stores, opened, reported, submit_sms
from tests.support.scale import scaled

SINGLE = "+1999"
PLACES = 2


async def bulk(stores: Stores, texts: int, **changes: Any) -> None:
    """One submitter's many texts."""
    for start in range(0, texts, 1000):
        count = min(1000, texts - start)
        command = submit_sms(*[f"+1{start + n:07}" for n in range(count)], submitter="key_bulk", **changes)
        await stores.messages.submit([command])


async def work_off(stores: Stores, phone: tuple[str, int], *, reports: bool = True) -> list[str]:
    """One lease of the phone, taken and sent; the recipients."""
    leased = await stores.lease(*phone, places=PLACES) or []
    asked = [Asked(job.message, job.attempt, *phone, ACCOUNT) for job in leased]
    if asked:
        await stores.leases.take(asked)
        if reports:
            told = [reported(job.message, "sent", phone[0], number=job.attempt) for job in leased]
            await Reports(stores.pool).fold(fold(told))
    return [job.recipient for job in leased]


async def test_a_single_text_waits_for_what_the_phones_had_and_one_lease(pool: Pool) -> None:
    """Behind 100,000 of another key, on five phones with budgets: counted, not timed."""
    stores = await Stores.on(pool)
    phones = [await opened(stores) for _ in range(5)]
    for device, _ in phones:
        await Budgets(pool).set(ACCOUNT, device, None, Limits(per_minute=30, per_day=10_000), None)
    await bulk(stores, scaled(small=3000, one=5000, full=100_000))
    for phone in phones:
        assert len(await work_off(stores, phone)) == PLACES
    for phone in phones:
        await stores.lease(*phone, places=PLACES)
    fleet = Fleet(stores.roster, system_clock)
    await fleet.refresh()
    single = submit_sms(SINGLE, submitter="key_single")
    await stores.messages.submit([single], fleet.prefer)
    before = 0
    for phone in itertools.chain.from_iterable(itertools.repeat(phones, 10)):
        sent = await work_off(stores, phone)
        if SINGLE in sent:
            break
        before += len(sent)
    assert before <= len(phones) * PLACES + PLACES, "what was leased before it, and one more lease"


async def test_one_bad_recipient_delays_nobody(pool: Pool) -> None:
    stores = await Stores.on(pool)
    phone = await opened(stores)
    await stores.messages.submit([submit_sms("+1bad")])
    leased = await stores.lease(*phone, places=1)
    assert leased
    await stores.leases.take([Asked(leased[0].message, 1, *phone, ACCOUNT)])
    await Reports(pool).fold(fold([reported(leased[0].message, "failed", phone[0])]))
    await stores.messages.submit([submit_sms("+1", "+2")])
    assert await work_off(stores, phone) == ["+1", "+2"], "its retry waits elsewhere"


async def test_one_full_sim_delays_nobody(pool: Pool) -> None:
    stores = await Stores.on(pool)
    full, free = await opened(stores), await opened(stores)
    await Budgets(pool).set(ACCOUNT, full[0], None, Limits(per_day=1), None)
    await stores.messages.submit([submit_sms("+1", "+2", "+3")])
    assert await work_off(stores, full) == ["+1"]
    assert await work_off(stores, full) == []
    assert await work_off(stores, free) == ["+2", "+3"]


async def test_one_absent_phone_s_pinned_work_delays_nobody(pool: Pool) -> None:
    stores = await Stores.on(pool)
    absent, present = await opened(stores), await opened(stores)
    await stores.phones.close_session(ACCOUNT, *absent)
    await bulk(stores, 500, device=absent[0], priority=50)
    await stores.messages.submit([submit_sms("+1", "+2")])
    assert await work_off(stores, present) == ["+1", "+2"]


async def test_another_channel_and_tomorrow_s_work_delay_nobody(pool: Pool) -> None:
    stores = await Stores.on(pool)
    phone = await opened(stores)
    await bulk(stores, 300, channel="whatsapp", priority=50)
    await bulk(stores, 300, scheduled_at=system_clock() + 86_400, priority=50)
    await stores.messages.submit([submit_sms("+1", "+2")])
    assert await work_off(stores, phone) == ["+1", "+2"]
