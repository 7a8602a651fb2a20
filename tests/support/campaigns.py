"""A campaign's parts on one database, without the service around them, and phones that send what they get."""

import time
from collections.abc import Sequence
from typing import Any

from nats.aio.client import Client

from services.dispatcher.campaigning import Campaigning
from services.dispatcher.feeder import Feeder
from services.dispatcher.fleet import Fleet
from services.dispatcher.states import fold
from services.dispatcher.store.apps import Apps
from services.dispatcher.store.campaigns import Campaigns
from services.dispatcher.store.feeding import Feeding
from services.dispatcher.store.leases import Asked
from services.dispatcher.store.reports import Reports
from services.dispatcher.wakes import Wakes
from shared.contracts.phone import Outcome
from shared.contracts.rpc import campaigns as rpc
from shared.db.pool import Pool
from shared.runtime.signals import Bell
from tests.support.dispatching import ACCOUNT, IDS, Stores, reported

WINDOW = 50


class Fair:
    """Everything that campaigns need, with a small window."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.pool = stores.pool
        self.feeding = Feeding(stores.pool)
        self.campaigns = Campaigns(stores.pool)
        self.asked = Campaigning(self.campaigns, time.time)
        self.feeder = self.another_feeder()

    @classmethod
    async def on(cls, pool: Pool) -> "Fair":
        """All parts, with this week's partitions."""
        return cls(await Stores.on(pool))

    def another_feeder(self, window: int = WINDOW) -> Feeder:
        """A feeder as another replica has it. It wakes nobody: no phone is connected to anything."""
        fleet = Fleet(self.stores.roster, time.time)
        return Feeder(
            self.feeding,
            self.campaigns,
            Apps(self.pool),
            self.stores.messages,
            fleet,
            Wakes(Client(), fleet, self.stores.queues),
            Bell(),
            IDS,
            time.time,
            keep_days=90,
            window=window,
        )

    async def draft(self, rows: Sequence[rpc.Row] = (), **changes: Any) -> str:
        """A draft with these rows."""
        wish: dict[str, Any] = {"account": ACCOUNT, "name": "spring sale", "text": "hello"}
        id = (await self.asked.create(rpc.CreateCampaign(**(wish | changes)))).campaign.id
        for start in range(0, len(rows), 1000):
            ask = rpc.AddRows(account=ACCOUNT, id=id, after=start, rows=list(rows[start : start + 1000]))
            added = await self.asked.add_rows(ask)
            assert added == rpc.RowsAdded(total=start + len(ask.rows), refused=[])
        return id

    async def started(self, count: int, **changes: Any) -> str:
        """An active campaign of so many rows."""
        id = await self.draft([rpc.Row(f"+1555{number:06}") for number in range(count)], **changes)
        await self.asked.start(rpc.StartCampaign(account=ACCOUNT, id=id))
        return id

    async def pause(self, id: str) -> None:
        """Pauses it; the next tick follows."""
        await self.asked.pause(rpc.PauseCampaign(account=ACCOUNT, id=id))

    async def resume(self, id: str) -> None:
        """Goes on with it; the next tick follows."""
        await self.asked.resume(rpc.ResumeCampaign(account=ACCOUNT, id=id))

    async def cancel(self, id: str) -> None:
        """Cancels it; the next tick follows."""
        await self.asked.cancel(rpc.CancelCampaign(account=ACCOUNT, id=id))

    async def show(self, id: str) -> rpc.Campaign:
        """The campaign with its counters."""
        (found,) = (await self.asked.list(rpc.ListCampaigns(account=ACCOUNT, id=id))).campaigns
        return found

    async def states(self) -> dict[str, int]:
        """How many rows of `work` are in which state."""
        rows = await self.pool.fetch("select state, count(*)::int as count from work group by state")
        return {row["state"]: row["count"] for row in rows}

    async def take(self, phone: tuple[str, int], places: int) -> list[bytes]:
        """Leases and takes so many messages."""
        device, session = phone
        leased = await self.stores.lease(device, session, places=places)
        assert leased is not None
        granted = await self.stores.leases.take(
            [Asked(job.message, job.attempt, device, session, ACCOUNT) for job in leased]
        )
        return [message for message, _ in granted]

    async def report(self, phone: tuple[str, int], messages: Sequence[bytes], state: Outcome) -> None:
        """The phone says so of each first attempt."""
        await Reports(self.pool).fold(fold([reported(message, state, phone[0]) for message in messages]))

    async def send(self, phone: tuple[str, int], places: int) -> int:
        """Leases, takes and reports as sent; how many."""
        taken = await self.take(phone, places)
        await self.report(phone, taken, "sent")
        return len(taken)
