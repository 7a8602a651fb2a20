"""Keeps what people search by level with the log, behind the live path: texts, states, numbers, threads, hours."""

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from services.dispatcher.store.work import TRY_LOCK
from shared.db.pool import Connection, Pool
from shared.db.seen import SEEN

NOTES = 500
"""No more notes than these are looked at in one step."""

SECOND_TIME = "1 hour"
"""The search is made a second time so long after its beginning: replicas of an older version wrote no notes."""

MAX_NUMBER_CHARS = 64
"""An index takes no endless words; no number that is any use is longer."""


class Step(NamedTuple):
    """One step of the search: how many things it took in, whose they are, and whether there may be more at once."""

    done: int
    messages: list[int]
    texts: list[int]
    more: bool


class Search:
    """Writes the search; one replica at a time."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def step(self, limit: int = 1000) -> Step:
        """Takes in about `limit` changed things, the oldest first, and with fewer of them things that were lost.

        Does nothing while another replica does it. All of a step or nothing of it is kept; of messages it takes twice
        the limit at most, whatever one note holds.
        """
        async with self._turn() as connection:
            if connection is None:
                return Step(0, [], [], more=False)
            (notes,) = await connection.fetch(_TAKE, NOTES, limit)
            messages, inbox = notes["message_ids"], notes["inbox_ids"]
            if rest := messages[2 * limit :]:
                await connection.execute(_PUT_BACK, rest)
                messages = messages[: 2 * limit]
            done = len(messages) + len(inbox)
            more = done >= limit
            if not (more or notes["whole"]):
                await connection.execute(_BEGIN)
                (lost,) = await connection.fetch(_LOST, limit)
                messages, inbox = list({*messages, *lost["message_ids"]}), list({*inbox, *lost["inbox_ids"]})
                done, more = len(messages) + len(inbox), True
            told = await connection.fetch(_KEEP, messages, inbox) if done else []
            if gone := [tuple(row)[1:] for row in told if row["kind"] == "gone"]:
                await connection.executemany(_FORGET_TEXT, gone)
        return Step(
            done,
            [row["account_id"] for row in told if row["kind"] == "messages"],
            [row["account_id"] for row in told if row["kind"] == "inbox"],
            more,
        )

    async def forget(self, days: int, limit: int = 1000) -> None:
        """Forgets hours and numbers of which nothing has been heard for `days`, a bounded number of each."""
        await self._pool.execute(_FORGET_HOURS, days)
        await self._pool.execute(_FORGET_NUMBERS, days, limit)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[Connection | None]:
        """A transaction of this replica's turn, or None. The lock is taken before the statements that look."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection if await connection.fetchval(_TURN, "dispatcher.search") else None


# A crash of the server takes back a step with the notes that it took, so nobody waits for its fsync.
_TURN = TRY_LOCK + ", set_config('synchronous_commit', 'off', true)"

_TAKE = f"""
with waiting as (
    select id, sum(cardinality(message_ids) + cardinality(inbox_ids)) over (order by id rows unbounded preceding)
        - cardinality(message_ids) - cardinality(inbox_ids) as before
    from (select * from unsearched order by id limit $1) u
), taken as (
    delete from unsearched where id in (select id from waiting where before < $2)
    returning message_ids, inbox_ids
)
select array(select distinct unnest(message_ids) from taken order by 1) as message_ids,
    array(select distinct unnest(inbox_ids) from taken order by 1) as inbox_ids,
    exists (
        select from search_progress
        where messages_from = '' and inbox_from = 0 and (passes > 1 or begun_at > now() - interval '{SECOND_TIME}')
    ) as whole
"""

_PUT_BACK = "insert into unsearched (message_ids) values ($1)"

_BEGIN = """
insert into search_progress as p default values
on conflict (only_row) do update set
    messages_from = excluded.messages_from, inbox_from = excluded.inbox_from, passes = 2
where p.messages_from = '' and p.inbox_from = 0
"""

_LOST = """
with here as (
    select messages_from, inbox_from from search_progress
), messages_before as (
    select id from messages where id < (select messages_from from here) order by id desc limit $1
), inbox_before as (
    select id from inbox where id < (select inbox_from from here) order by id desc limit $1
), moved as (
    update search_progress set
        messages_from = coalesce((select id from messages_before order by id limit 1), ''),
        inbox_from = coalesce((select min(id) from inbox_before), 0)
)
select array(select id from messages_before) as message_ids, array(select id from inbox_before) as inbox_ids
"""

# The limits of 1 have each row looked up by its id, in its own week, whatever the planner thinks of the rest.
_KEEP = f"""
with changed as materialized (
    select m.id, m.account_id, left(m.recipient, {MAX_NUMBER_CHARS}) as recipient, m.text, m.accepted_at,
        {SEEN} as state, coalesce(m.device_id, m.wanted_device_id) as device_id, m.deleted_at is not null as deleted
    from unnest($1::bytea[]) as c (id)
    cross join lateral (select * from messages where id = c.id limit 1) m
    left join lateral (select state from work where message_id = c.id limit 1) w on true
), received as materialized (
    select i.account_id, left(i.number, {MAX_NUMBER_CHARS}) as number, i.stored_at
    from unnest($2::bigint[]) as c (id) cross join lateral (select * from inbox where id = c.id limit 1) i
), before as materialized (
    select c.account_id, c.accepted_at, c.id, s.state
    from changed c cross join lateral (select state from search_states where message_id = c.id limit 1) s
), states_gone as (
    delete from search_states where message_id = any(array(select id from changed where deleted))
), texts_come as (
    insert into search_texts (message_id, account_id, recipient, text)
    select id, account_id, recipient, text from changed
    where not deleted and id not in (select id from before) order by id
    on conflict do nothing
), states_come as (
    insert into search_states as s (message_id, account_id, state, device_id, place)
    select id, account_id, state, device_id, id from changed where not deleted order by id
    on conflict (message_id) do update set state = excluded.state, device_id = excluded.device_id
    where (s.state, s.device_id) is distinct from (excluded.state, excluded.device_id)
), counted as (
    select account_id, date_trunc('hour', accepted_at) as hour, state, sum(change)::bigint as change from (
        select account_id, accepted_at, state, 1 as change from changed where not deleted
        union all
        select account_id, accepted_at, state, -1 from before
    ) changes
    group by 1, 2, 3 having sum(change) <> 0
), tallied as (
    insert into tallies as t (account_id, hour, state, messages)
    select * from counted order by 1, 2, 3
    on conflict (account_id, hour, state) do update set messages = t.messages + excluded.messages
), talked as (
    select account_id, number, max(at) as at from (
        select account_id, recipient as number, accepted_at as at from changed where not deleted
        union all
        select account_id, number, stored_at from received
    ) moments
    group by 1, 2
), numbers_come as (
    insert into search_numbers (account_id, number) select account_id, number from talked order by 1, 2
    on conflict do nothing
), threads_come as (
    insert into threads as t (account_id, number, at) select account_id, number, at from talked order by 1, 2
    on conflict (account_id, number) do update set at = excluded.at where t.at < excluded.at
)
select distinct 'messages' as kind, account_id, null::text as recipient, null::bytea as id from changed
union all
select distinct 'inbox', account_id, null::text, null::bytea from received
union all
select 'gone', account_id, recipient, id from changed where deleted
"""

_FORGET_TEXT = "delete from search_texts where account_id = $1 and recipient = $2 and message_id = $3"

_FORGET_HOURS = "delete from tallies where hour < now() - make_interval(days => $1)"

_FORGET_NUMBERS = """
with old as (
    delete from threads where at < now() - make_interval(days => $1) and (account_id, number) in (
        select account_id, number from threads where at < now() - make_interval(days => $1) limit $2
    )
    returning account_id, number
)
delete from search_numbers n using old o where n.account_id = o.account_id and n.number = o.number
"""
