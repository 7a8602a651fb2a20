"""Feeds campaigns: a window of each one's rows is in `work`, whatever its size, and follows its status in a second."""

import asyncio
import time

import structlog

from services.dispatcher.fleet import Fleet
from services.dispatcher.store.apps import Apps
from services.dispatcher.store.campaigns import Campaigns
from services.dispatcher.store.feeding import Feeding, MissingRow, OpenCampaign
from services.dispatcher.store.messages import Messages
from services.dispatcher.store.queues import ReadyCount
from services.dispatcher.wakes import Wakes
from shared.contracts.commands import Recipient, SubmitSms
from shared.db.pool import is_item_error
from shared.model.ids import MessageId, MessageIds, accepted_at_ms, attempt_id
from shared.model.texts import Segments, segments
from shared.runtime.clock import Clock
from shared.runtime.signals import Bell
from shared.runtime.tasks import Tasks

log = structlog.get_logger()

WINDOW = 1000
"""Of a campaign's rows at most so many have a message that is not at rest."""

TICK_S = 0.5
"""A tick begins no further campaign after so many seconds, and the next tick comes after as many."""

BATCH = 500
RECOUNTED = 1000
RECOUNT_S = 1.0
RECOUNT_BUDGET_S = 0.2

UNREACHABLE_S = 86_400
"""A canceled campaign's cut-off rows are stored as due so much later, so that no phone has them before they end."""


class Feeder:
    """The periodic jobs about campaigns. Every replica runs them; a lock within each tick lets one of them act."""

    def __init__(
        self,
        feeding: Feeding,
        campaigns: Campaigns,
        apps: Apps,
        messages: Messages,
        fleet: Fleet,
        wakes: Wakes,
        outbox_filled: Bell,
        ids: MessageIds,
        clock: Clock,
        *,
        keep_days: int,
        window: int = WINDOW,
    ) -> None:
        """Rings `outbox_filled` when a tick told events; forgets campaigns `keep_days` after their end."""
        self._feeding = feeding
        self._campaigns = campaigns
        self._apps = apps
        self._messages = messages
        self._fleet = fleet
        self._wakes = wakes
        self._outbox_filled = outbox_filled
        self._ids = ids
        self._clock = clock
        self._keep_days = keep_days
        self._window = window

    def start(self, tasks: Tasks) -> None:
        """Starts each job at its own pace."""
        tasks.every("campaigns", TICK_S, self.tick)
        tasks.every("campaign counters", RECOUNT_S, self.recount)
        tasks.every("campaign retention", 600.0, self.forget)

    async def tick(self) -> None:
        """Brings what is in `work` into line with each open campaign, until the tick's time is over."""
        async with self._feeding.turn("campaigns") as ours:
            begun = time.monotonic()
            for campaign in await self._feeding.open_campaigns() if ours else ():
                await self._look_after(campaign)
                if time.monotonic() - begun > TICK_S:
                    return

    async def recount(self) -> None:
        """Lets the counters follow what was told after a row had come to rest."""
        async with self._feeding.turn("campaign counters") as ours:
            begun = time.monotonic()
            while ours and time.monotonic() - begun < RECOUNT_BUDGET_S:
                ours = await self._feeding.recount(RECOUNTED)

    async def forget(self) -> None:
        """Gives up drafts that nobody starts and deletes what ended long ago, in bounded batches."""
        await self._campaigns.give_up_drafts()
        while await self._campaigns.forget_rows(self._keep_days, RECOUNTED) == RECOUNTED:
            pass
        await self._campaigns.forget(self._keep_days)

    async def _look_after(self, campaign: OpenCampaign) -> None:
        fed = await self._feeding.settle(campaign.id)
        if campaign.status == "active":
            await self._feed(campaign, fed.rows, has_held=fed.held > 0, has_missing=fed.missing > 0)
        elif campaign.status == "paused":
            await self._feeding.hold(campaign.id)
        else:
            await self._cancel(campaign, has_missing=fed.missing > 0)
        over = fed.rows == 0 and (campaign.status == "canceled" or campaign.unfed == 0)
        if over and await self._feeding.end(campaign.id):
            log.info("campaign ended", campaign=campaign.id, account=campaign.account)

    async def _feed(self, campaign: OpenCampaign, fed: int, *, has_held: bool, has_missing: bool) -> None:
        if has_held:
            await self._wakes.wake_for(await self._feeding.release(campaign))
        room = min(self._window - fed, campaign.unfed)
        if room > 0:
            # Written before they are submitted: after a crash between the two the same ids are submitted again.
            ids = self._ids.new(campaign.account, int(self._clock() * 1000), room)
            has_missing |= await self._feeding.reserve(campaign.id, self._window, ids) > 0
        if has_missing:
            await self._submit_missing(campaign, later_s=0)

    async def _cancel(self, campaign: OpenCampaign, *, has_missing: bool) -> None:
        if has_missing:
            # Somebody may be about to submit them, a replica that hung in between: so they must be there to be ended.
            await self._submit_missing(campaign, later_s=UNREACHABLE_S)
        while (looked_at := await self._feeding.cancel(campaign.id, BATCH)) > 0:
            self._outbox_filled.ring()
            if looked_at < BATCH:
                break
        for taken in await self._apps.wish_back(campaign.id, BATCH):
            await self._wakes.ask_back(taken.device, attempt_id(MessageId(taken.message), taken.attempt))

    async def _submit_missing(self, campaign: OpenCampaign, *, later_s: int) -> None:
        missing = await self._feeding.missing(campaign.id, self._window)
        # A thousand long texts of their own take long enough to be felt by whoever else asks.
        ready = await self._submit(campaign, await asyncio.to_thread(_commands, campaign, missing, later_s))
        self._outbox_filled.ring()
        await self._wakes.wake_for(ready)

    async def _submit(self, campaign: OpenCampaign, commands: list[SubmitSms]) -> list[ReadyCount]:
        """Submits them; what Postgres refuses for a fault of its own stands alone and has failed."""
        try:
            return await self._messages.submit(commands, self._fleet.prefer)
        except Exception as error:
            if not is_item_error(error):
                raise
            if len(commands) == 1:
                await self._refuse(campaign, commands[0], error)
                return []
        middle = len(commands) // 2
        return [*await self._submit(campaign, commands[:middle]), *await self._submit(campaign, commands[middle:])]

    async def _refuse(self, campaign: OpenCampaign, command: SubmitSms, error: Exception) -> None:
        log.warning("row refused", campaign=campaign.id, error=repr(error)[:300])
        try:
            await self._messages.reject(command, str(error))
        except Exception as problem:
            # An id outside every partition cannot even be logged.
            if not is_item_error(problem):
                raise
            await self._feeding.refuse(campaign.id, command.recipients[0].id)


def _commands(campaign: OpenCampaign, rows: list[MissingRow], later_s: int) -> list[SubmitSms]:
    shapes = {text: segments(text) for text in {row.text for row in rows}}
    return [_command(campaign, row, shapes[row.text], later_s) for row in rows]


def _command(campaign: OpenCampaign, row: MissingRow, shape: Segments, later_s: int) -> SubmitSms:
    """The same for the same row, however often it is made."""
    accepted_at = accepted_at_ms(MessageId(row.message)) / 1000
    return SubmitSms(
        account=campaign.account,
        submitter=campaign.submitter,
        recipients=[Recipient(row.message, row.recipient)],
        text=row.text,
        encoding=shape.encoding,
        parts=shape.parts,
        accepted_at=accepted_at,
        scheduled_at=accepted_at + later_s,
        valid_until=accepted_at + campaign.valid_s,
        channel=campaign.channel,
        device=campaign.device,
        sim=campaign.sim,
        priority=campaign.priority,
    )
