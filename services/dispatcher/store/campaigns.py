"""Campaigns as people see them: drafts and their rows, changes of status, lists, and their end by age."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from shared.contracts.rpc.campaigns import Campaign, CampaignStatus, CreateCampaign
from shared.db.pool import Pool

SHOWN = 100
"""A list is at most this long."""

OPEN_PER_ACCOUNT = 100
"""An account has at most so many campaigns that have not ended."""

DRAFT_DAYS = 7
"""A draft that nobody has touched for so many days is canceled."""


class Draft(NamedTuple):
    """What the rows of a draft are checked against."""

    text: str
    channel: str


class Campaigns:
    """Writes what people wish; the feeder's own statements are in store/feeding.py."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool

    async def create(self, id: str, wish: CreateCampaign, starts_at: float) -> bool:
        """Makes a draft; False when the account has too many campaigns. `starts_at`: Unix seconds."""
        made: int | None = await self._pool.fetchval(
            _CREATE,
            id,
            wish.account,
            wish.name,
            wish.text,
            wish.channel,
            wish.priority,
            wish.device,
            wish.sim,
            wish.valid_s,
            dt.datetime.fromtimestamp(starts_at, dt.UTC),
            OPEN_PER_ACCOUNT,
        )
        return made is not None

    async def has_device(self, account: int, device: str) -> bool:
        """Whether the account has this device."""
        has: bool = await self._pool.fetchval(_HAS_DEVICE, account, device)
        return has

    async def draft(self, account: int, id: str) -> Draft | None:
        """What the campaign's rows are checked against; None where the account has no such campaign."""
        row = await self._pool.fetchrow(
            "select text, channel from campaigns where account_id = $1 and id = $2", account, id
        )
        return None if row is None else Draft(*row)

    async def add_rows(
        self, account: int, id: str, after: int, recipients: Sequence[str], texts: Sequence[str | None]
    ) -> bool:
        """Adds rows to a draft that has `after` of them; False where it is no such draft, or has other rows."""
        added: int = await self._pool.fetchval(_ADD_ROWS, account, id, after, list(recipients), list(texts))
        return added > 0

    async def move(
        self, account: int, id: str, to: CampaignStatus, before: Sequence[CampaignStatus], least_rows: int = 0
    ) -> bool:
        """Changes the status in one conditional statement; False where it was none of `before`, or has fewer rows."""
        moved: str | None = await self._pool.fetchval(_MOVE, account, id, to, list(before), least_rows)
        return moved is not None

    async def list(self, account: int, id: str | None = None) -> list[Campaign]:
        """The account's campaigns, newest first, or the one that is named, if it is the account's."""
        return [
            Campaign(
                id=row["id"],
                name=row["name"],
                status=row["status"],
                text=row["text"],
                channel=row["channel"],
                priority=row["priority"],
                device=row["wanted_device_id"],
                sim=row["wanted_sim"],
                valid_s=row["valid_s"],
                created_at=row["created_at"].timestamp(),
                starts_at=row["starts_at"].timestamp(),
                ended_at=None if row["ended"] is None else row["ended"].timestamp(),
                total=row["total"],
                unfed=row["total"] - row["fed"],
                working=row["working"],
                sent=row["sent"],
                delivered=row["delivered"],
                failed=row["failed"],
                expired=row["expired"],
                canceled=row["canceled"],
                unknown=row["unknown"],
            )
            for row in await self._pool.fetch(_LIST, account, id, SHOWN)
        ]

    async def give_up_drafts(self) -> None:
        """Cancels drafts that nobody has touched for DRAFT_DAYS."""
        await self._pool.execute(_GIVE_UP_DRAFTS, DRAFT_DAYS)

    async def forget_rows(self, days: int, limit: int) -> int:
        """Deletes rows of campaigns that ended more than `days` ago, a bounded number at once; returns how many."""
        count: int = await self._pool.fetchval(_FORGET_ROWS, days, limit)
        return count

    async def forget(self, days: int) -> None:
        """Deletes campaigns that ended more than `days` ago and have no rows any more."""
        await self._pool.execute(_FORGET, days)


_CREATE = """
insert into campaigns (
    id, account_id, name, text, channel, priority, wanted_device_id, wanted_sim, valid_s, starts_at
)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
where (select count(*) from campaigns where account_id = $2 and ended_at = 'infinity') < $11::int
returning 1
"""

_HAS_DEVICE = "select exists (select from devices where account_id = $1 and id = $2 and deleted_at is null)"

_ADD_ROWS = """
with grown as (
    update campaigns set total = total + cardinality($4::text[]), changed_at = now()
    where account_id = $1 and id = $2 and status = 'draft' and total = $3
    returning id
), added as (
    insert into campaign_rows (campaign_id, row, recipient, text)
    select grown.id, $3 + place, recipient, text
    from grown, unnest($4::text[], $5::text[]) with ordinality as t (recipient, text, place)
    returning 1
)
select count(*)::int from added
"""

_MOVE = """
update campaigns set status = $3, changed_at = now(),
    starts_at = case when status = 'draft' then greatest(starts_at, now()) else starts_at end
where account_id = $1 and id = $2 and status = any($4) and total >= $5
returning id
"""

_LIST = """
select *, nullif(ended_at, 'infinity') as ended,
    fed - sent - delivered - failed - expired - canceled - unknown as working
from campaigns where account_id = $1 and ($2::text is null or id = $2)
order by created_at desc, id limit $3
"""

_GIVE_UP_DRAFTS = """
update campaigns set status = 'canceled' where status = 'draft' and changed_at < now() - make_interval(days => $1)
"""

_FORGET_ROWS = """
with old as (
    select r.campaign_id, r.row from campaigns c join campaign_rows r on r.campaign_id = c.id
    where c.ended_at < now() - make_interval(days => $1)
    order by r.campaign_id, r.row limit $2 for update of r skip locked
), gone as (
    delete from campaign_rows r using old o where r.campaign_id = o.campaign_id and r.row = o.row returning 1
)
select count(*)::int from gone
"""

_FORGET = """
delete from campaigns c
where ended_at < now() - make_interval(days => $1)
    and not exists (select from campaign_rows r where r.campaign_id = c.id)
"""
