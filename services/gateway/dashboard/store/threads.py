"""Conversations: what was sent to a number and received from it, together."""

import heapq
import itertools
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from services.gateway.dashboard.store.filters import Filter, Number
from services.gateway.dashboard.store.messages import Messages, Row
from services.gateway.reading import reading
from shared.db.pool import Pool
from shared.db.seen import SEEN, SeenState

UNREAD_SEEN: Final = 100
"""Unread texts are counted so far, those of a conversation and those of an account."""

DELETED_SEEN: Final = 10
"""The last text is looked for among so many of the newest: deleted ones stay in the search for a moment."""


class Place(NamedTuple):
    """Where a page of conversations ends."""

    at: datetime
    number: str


class Thread(NamedTuple):
    """A conversation with its last text; `state` is that of a sent one, None of a received one."""

    number: str
    at: datetime
    text: str
    state: SeenState | None
    unread: int


class ThreadPage(NamedTuple):
    """Conversations, the one with the newest text first; the place that the next page is before, None at the end."""

    threads: list[Thread]
    older: Place | None


class Received(NamedTuple):
    """A received text."""

    id: int
    guid: UUID
    device_id: str
    sim: int | None
    number: str
    text: str
    kind: str
    received_at: datetime
    stored_at: datetime
    read: bool


class Moment(NamedTuple):
    """Where a page of a conversation ends: before this message, and before this received text; None: at the newest."""

    sent: bytes | None = None
    received: int | None = None


class Talk(NamedTuple):
    """One conversation's texts of both kinds, newest first; where the next page begins, None at the end."""

    said: list[Row | Received]
    older: Moment | None


class Threads:
    """Reads conversations. Each call raises Unavailable while Postgres is away or too slow."""

    def __init__(self, pool: Pool, messages: Messages) -> None:
        """`pool` may have no connection yet, or none any more."""
        self._pool = pool
        self._messages = messages

    async def list(self, account: int, before: Place | None = None, limit: int = 50) -> ThreadPage:
        """A page of the account's conversations, by one statement. One whose texts are all deleted is left out."""
        async with reading(self._pool) as connection:
            rows = await connection.fetch(_LIST, account, *(before or (None, None)), limit + 1)
        older = Place(rows[limit - 1]["at"], rows[limit - 1]["number"]) if len(rows) > limit else None
        threads = [Thread(*row) for row in rows[:limit] if row["text"] is not None]
        return ThreadPage(threads, older)

    async def unread(self, account: int) -> int:
        """How many texts nobody has looked at, at most UNREAD_SEEN, by one statement."""
        async with reading(self._pool) as connection:
            count: int = await connection.fetchval(_UNREAD, account)
        return count

    async def show(self, account: int, number: str, before: Moment | None = None, limit: int = 50) -> Talk:
        """A page of one conversation, by four statements at most; empty where there is none."""
        begin = before or Moment()
        wanted = Filter(number=Number(number, None))
        found = await self._messages.find(account, wanted, before=begin.sent, limit=limit)
        async with reading(self._pool) as connection:
            rows = await connection.fetch(_RECEIVED, account, number, begin.received, limit + 1)
        sent: list[Row | Received] = [*found.rows]
        received: list[Row | Received] = [Received(*row) for row in rows]
        # Each kind stays in the order of its ids, by which the next page begins.
        shown = list(itertools.islice(heapq.merge(sent, received, key=_moment, reverse=True), limit))
        if len(sent) + len(received) <= limit and found.older is None:
            return Talk(shown, None)
        sent_ids = [each.sent.id for each in shown if isinstance(each, Row)]
        received_ids = [each.id for each in shown if isinstance(each, Received)]
        return Talk(shown, Moment(min(sent_ids, default=begin.sent), min(received_ids, default=begin.received)))


def _moment(said: Row | Received) -> datetime:
    return said.stored_at if isinstance(said, Received) else said.sent.accepted_at


_LIST = f"""
select t.number, t.at, case when r.stored_at > s.accepted_at or s.text is null then r.text else s.text end as text,
    case when r.stored_at > s.accepted_at then null else s.state end as state, u.unread
from (
    select number, at from threads
    where account_id = $1 and (at, number) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
    order by at desc, number desc limit $4
) t
left join lateral (
    select m.text, m.accepted_at, {SEEN} as state
    from (
        select message_id as id from search_texts where account_id = $1 and recipient = t.number
        order by message_id desc limit {DELETED_SEEN}
    ) c
    cross join lateral (select * from messages where id = c.id limit 1) m
    left join lateral (select state from work where message_id = c.id limit 1) w on true
    where m.deleted_at is null
    order by c.id desc limit 1
) s on true
left join lateral (
    select text, stored_at from inbox where account_id = $1 and number = t.number and deleted_at is null
    order by id desc limit 1
) r on true
cross join lateral (
    select count(*)::int as unread from (
        select from inbox where account_id = $1 and number = t.number and seen_at is null and deleted_at is null
        limit {UNREAD_SEEN}
    ) newest
) u
order by t.at desc, t.number desc
"""

_UNREAD = f"""
select count(*)::int from (
    select from inbox where account_id = $1 and seen_at is null and deleted_at is null limit {UNREAD_SEEN}
) unseen
"""

_RECEIVED = """
select id, guid, device_id, sim, number, text, kind, received_at, stored_at, seen_at is not null as read
from inbox
where account_id = $1 and number = $2 and deleted_at is null and id < coalesce($3::bigint, 9223372036854775807)
order by id desc limit $4
"""
