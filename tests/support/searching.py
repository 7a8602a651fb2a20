"""What tests of the search share: bringing it level, and a world of messages of every state."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from services.dispatcher.states import fold
from services.dispatcher.store.leases import Asked
from services.dispatcher.store.reports import Reports
from services.dispatcher.store.search import Search
from services.dispatcher.store.stories import Stories
from shared.contracts.phone import Outcome
from shared.db.pool import Pool
from shared.db.seen import SEEN
from tests.support.dispatching import ACCOUNT, Stores, opened, reported, submit_sms


class Known(NamedTuple):
    """A message as the log has it."""

    id: bytes
    recipient: str
    text: str
    state: str
    device: str | None
    accepted_at: datetime


async def level(pool: Pool) -> int:
    """Brings the search level; returns how many things it took in."""
    search, done = Search(pool), 0
    while True:
        step = await search.step()
        done += step.done
        if not step.more:
            return done


async def truth(pool: Pool, account: int = ACCOUNT) -> list[Known]:
    """The account's messages that were not deleted, newest first, by the log and the live rows alone."""
    rows = await pool.fetch(
        f"""
        select m.id, m.recipient, m.text, {SEEN} as state, coalesce(m.device_id, m.wanted_device_id) as device,
            m.accepted_at
        from messages m left join work w on w.message_id = m.id
        where m.account_id = $1 and m.deleted_at is null order by m.id desc
        """,
        account,
    )
    return [Known(*row) for row in rows]


async def searched(pool: Pool) -> set[tuple[bytes, str, str | None]]:
    """What the search believes: message, state, device, of those messages whose text it has too."""
    rows = await pool.fetch(
        "select s.message_id, s.state, s.device_id from search_states s join search_texts t using (message_id)"
    )
    assert await pool.fetchval("select count(*) from search_texts") == len(rows)
    return {tuple(row) for row in rows}


async def sent_by(
    stores: Stores, device: str, session: int, outcomes: list[Outcome | None], texts: list[str], numbers: list[str]
) -> None:
    """Messages pinned to this phone, of which it told these outcomes for good; None: nothing yet."""
    for outcome, text, number in zip(outcomes, texts, numbers, strict=True):
        command = submit_sms(number, text=text, device=device)
        message = command.recipients[0].id
        await stores.messages.submit([command])
        if outcome is None:
            continue
        leased = await stores.lease(device, session)
        assert leased
        await stores.leases.take([Asked(job.message, job.attempt, device, session, ACCOUNT) for job in leased])
        report = msgspec.structs.replace(reported(message, outcome, device), reason="invalid_number")
        await Reports(stores.pool).fold(fold([report]))


async def canceled(pool: Pool, message: bytes) -> None:
    """Ends a message that no phone has."""
    assert (await Stories(pool).cancel(message, ACCOUNT)).outcome == "canceled"


async def a_phone(stores: Stores) -> tuple[str, int]:
    """A phone of the account: its id and session."""
    return await opened(stores)
