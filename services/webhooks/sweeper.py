"""What the clock does: replays go on, own events are told, the dead are disabled, what is old ends and goes."""

from services.webhooks import metrics
from services.webhooks.consumers import FanOut
from services.webhooks.replaying import Replaying
from services.webhooks.store.events import Events
from services.webhooks.store.partitions import Partitions
from services.webhooks.store.upkeep import Upkeep
from shared.contracts.rpc.retention import AskRetention, Retention
from shared.runtime.tasks import Tasks

BATCH = 1000


class Sweeper:
    """The periodic jobs. Every replica runs them; each is harmless when several do."""

    def __init__(
        self,
        upkeep: Upkeep,
        events: Events,
        partitions: Partitions,
        fan_out: FanOut,
        replaying: Replaying,
        *,
        park_days: int,
        events_days: int,
        attempts_days: int,
    ) -> None:
        """Undelivered events wait for `park_days`, events and attempts are kept for so many days."""
        self._upkeep = upkeep
        self._events = events
        self._partitions = partitions
        self._fan_out = fan_out
        self._replaying = replaying
        self._park_days = park_days
        self._events_days = events_days
        self._attempts_days = attempts_days

    def start(self, tasks: Tasks) -> None:
        """Starts each job at its own pace."""
        tasks.every("own events", 1.0, self._fan_out.tell_own)
        tasks.every("replays", 0.5, self._replaying.tick)
        tasks.every("dead endpoints", 30.0, self._upkeep.disable_dead)
        tasks.every("standing", 2.0, self.look)
        tasks.every("parked", 60.0, self.expire)
        tasks.every("event retention", 60.0, self.forget_events)
        tasks.every("delivery retention", 60.0, self.forget_deliveries)
        tasks.every("partitions ahead", 3600.0, self._partitions.make_ahead)
        tasks.every("attempt retention", 600.0, self.remove_attempts)

    async def told(self, _: AskRetention) -> Retention:
        """How long this service keeps what."""
        return Retention({"events": self._events_days, "attempts": self._attempts_days})

    async def look(self) -> None:
        """Sets the gauges."""
        standing = await self._upkeep.standing()
        metrics.PENDING.set(standing.pending)
        metrics.OLDEST_DUE.set(standing.oldest_due_s)
        metrics.OPEN_BREAKERS.set(standing.open_breakers)
        metrics.DISABLED.set(standing.disabled)

    async def expire(self) -> None:
        """Ends what has waited too long, in bounded batches."""
        while await self._upkeep.expire(self._park_days, BATCH) >= BATCH:
            pass

    async def forget_events(self) -> None:
        """Removes old events, in bounded batches."""
        while await self._events.forget(self._events_days, BATCH) >= BATCH:
            pass

    async def forget_deliveries(self) -> None:
        """Removes old deliveries at rest, in bounded batches."""
        while await self._upkeep.forget(self._attempts_days, BATCH) >= BATCH:
            pass

    async def remove_attempts(self) -> None:
        """Drops whole weeks of attempts, oldest first, each in a tick of its own."""
        while await self._partitions.remove_oldest(self._attempts_days):
            pass
