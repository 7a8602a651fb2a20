"""What the clock does: scheduled work becomes ready, leases end, validity ends, silence becomes `unknown`."""

from services.dispatcher.fleet import Fleet
from services.dispatcher.hints import Hinter
from services.dispatcher.leasing import Leasing
from services.dispatcher.pace import Paces
from services.dispatcher.routing import drain_rate
from services.dispatcher.store.phones import Phones
from services.dispatcher.store.roster import Roster
from services.dispatcher.store.work import Work
from services.dispatcher.wakes import Wakes
from shared.runtime.signals import Bell
from shared.runtime.tasks import Tasks

BATCH = 1000


class Sweeper:
    """The periodic jobs. Every replica runs them; a lock within each tick lets one of them act."""

    def __init__(
        self,
        work: Work,
        phones: Phones,
        roster: Roster,
        fleet: Fleet,
        paces: Paces,
        leasing: Leasing,
        wakes: Wakes,
        outbox_filled: Bell,
        hinter: Hinter,
    ) -> None:
        """Rings `outbox_filled` when a sweep told events."""
        self._work = work
        self._phones = phones
        self._roster = roster
        self._fleet = fleet
        self._paces = paces
        self._leasing = leasing
        self._wakes = wakes
        self._outbox_filled = outbox_filled
        self._hinter = hinter

    def start(self, tasks: Tasks) -> None:
        """Starts each job at its own pace."""
        tasks.every("phones online", 1.0, self._fleet.refresh)
        tasks.every("presence", 1.0, self.tell_presence)
        tasks.every("paces", 5.0, self._paces.keep)
        tasks.every("outlook", 5.0, self.look_ahead)
        tasks.every("due", 0.25, self.make_due)
        tasks.every("lapsed leases", 1.0, self.end_lapsed)
        tasks.every("spill", 0.5, self.spill)
        tasks.every("unwoken work", 1.0, self.wake_unwoken)
        tasks.every("expiry", 1.0, self.expire)
        tasks.every("orphans", 5.0, self.fail_orphaned)
        tasks.every("silence", 5.0, self.settle_silent)

    async def make_due(self) -> None:
        """Readies what is due, in bounded batches, and wakes phones for it."""
        while ready := await self._work.make_due_ready(BATCH):
            await self._wakes.wake_for(ready)
            if sum(count.messages for count in ready) < BATCH:
                return

    async def spill(self) -> None:
        """Lets any phone have what the preferred one did not take in time."""
        while spilled := await self._work.spill(BATCH):
            await self._wakes.wake_for(spilled)
            if sum(count.messages for count in spilled) < BATCH:
                return

    async def tell_presence(self) -> None:
        """Tells which phones came and went."""
        if accounts := await self._roster.tell_presence():
            self._outbox_filled.ring()
            self._hinter.note("phones", accounts)

    async def look_ahead(self) -> None:
        """Writes down how fast each queue is likely to move, for whoever asks when a message will go out."""
        heads = await self._roster.heads()
        await self._roster.keep_outlooks(heads, [drain_rate(self._fleet.online, head.key) for head in heads])

    async def end_lapsed(self) -> None:
        """Gives back what silent or closed sessions had not taken."""
        if freed := await self._work.end_lapsed_leases(BATCH):
            await self._leasing.give_back(freed)

    async def wake_unwoken(self) -> None:
        """Wakes phones for ready work that no wake reached."""
        await self._wakes.wake_for(await self._work.ready_queues())

    async def expire(self) -> None:
        """Ends what is no longer valid."""
        if await self._work.expire():
            self._outbox_filled.ring()

    async def fail_orphaned(self) -> None:
        """Ends what was accepted for a phone while it was being removed."""
        if await self._phones.fail_orphaned():
            self._outbox_filled.ring()

    async def settle_silent(self) -> None:
        """Says `unknown` of what a silent phone had taken, and lets go of what is past its validity."""
        await self._work.mark_silent()
        await self._work.forget_outdated()
