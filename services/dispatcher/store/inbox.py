"""Texts that phones received, once each, and their read marks."""

import datetime as dt
from collections.abc import Sequence

from services.dispatcher.store.unsearched import INBOX, unsearched
from shared.contracts.reports import TextReceived
from shared.db.pool import Pool


class Inbox:
    """Writes the inbox."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def add(self, texts: Sequence[TextReceived]) -> int:
        """Stores each text once, with its event, in the order in which they came; returns how many were new.

        A phone that was offline may tell what it holds in any order, so its own times count first.
        """
        ordered = sorted(texts, key=lambda text: text.at)
        count: int = await self._pool.fetchval(
            _ADD,
            [text.account for text in ordered],
            [text.device for text in ordered],
            [text.sim for text in ordered],
            [text.number for text in ordered],
            [text.text for text in ordered],
            [dt.datetime.fromtimestamp(text.at, dt.UTC) for text in ordered],
            [text.utc_offset_min for text in ordered],
            [text.fingerprint for text in ordered],
            [text.kind for text in ordered],
        )
        return count

    async def mark_read(self, account: int, ids: Sequence[int]) -> None:
        """Marks these texts of the account as read; what is read already stays as it is."""
        await self._pool.execute(
            "update inbox set read_at = now() where account_id = $1 and id = any($2) and read_at is null",
            account,
            list(ids),
        )

    async def mark_seen(self, account: int, number: str, until: int) -> None:
        """Marks what this number wrote, up to that id, as seen by a person."""
        await self._pool.execute(_MARK_SEEN, account, number, until)

    async def remove_old(self, days: int, limit: int = 1000) -> int:
        """Removes received texts older than so many days, a bounded number at once; returns how many."""
        count: int = await self._pool.fetchval(_REMOVE_OLD, days, limit)
        return count


_MARK_SEEN = """
update inbox set seen_at = now()
where account_id = $1 and number = $2 and id <= $3 and seen_at is null and deleted_at is null
"""

_REMOVE_OLD = """
with old as (
    select id from inbox where stored_at < now() - make_interval(days => $1) order by id limit $2 for update skip locked
), gone as (
    delete from inbox i using old where i.id = old.id returning 1
)
select count(*)::int from gone
"""

# The ids follow the order of arrival, but the rows are inserted in the order of their key: two replicas that store the
# same texts at once would otherwise wait for each other.
_ADD = f"""
with arrived as (
    select nextval('inbox_id_seq') as id, told.*
    from unnest(
        $1::bigint[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::timestamptz[], $7::smallint[],
        $8::bytea[], $9::text[]
    ) as told (account_id, device_id, sim, number, text, received_at, utc_offset_min, fingerprint, kind)
), added as (
    insert into inbox (id, account_id, device_id, sim, number, text, received_at, utc_offset_min, fingerprint, kind)
    overriding system value
    select * from arrived order by device_id, fingerprint
    on conflict (device_id, fingerprint) do nothing
    returning id, account_id, device_id, sim, number, received_at
), announced as (
    insert into outbox (account_id, type, occurred_at, inbox_id, device_id, sim)
    select account_id, 'sms.received', received_at, id, device_id, sim from added order by id
), talked as (
    insert into contacts as c (account_id, number, device_id, at)
    select distinct on (account_id, number) account_id, number, device_id, now() from added
    order by account_id, number, id desc
    on conflict (account_id, number) do update set device_id = excluded.device_id, at = excluded.at
), {unsearched("added", "id", INBOX)}
select count(*)::int from added
"""
