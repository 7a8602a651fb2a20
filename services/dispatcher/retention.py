"""What age does: partitions made ahead and removed, deleted texts blanked, old received texts removed."""

from services.dispatcher.store.inbox import Inbox
from services.dispatcher.store.partitions import Partitions
from services.dispatcher.store.search import Search
from services.dispatcher.store.stories import Stories
from shared.contracts.rpc.retention import AskRetention
from shared.contracts.rpc.retention import Retention as Kept
from shared.runtime.tasks import Tasks

BATCH = 1000

WEEK_DAYS = 8
"""Days that sent messages may be kept beyond their time: they are removed by the week, a day after its end."""


class Retention:
    """The slow periodic jobs; like the sweeps they run in every replica, one of which acts."""

    def __init__(
        self,
        partitions: Partitions,
        stories: Stories,
        inbox: Inbox,
        search: Search,
        *,
        sent_days: int,
        received_days: int,
    ) -> None:
        """Keeps sent messages for `sent_days` and received ones for `received_days`."""
        self._partitions = partitions
        self._stories = stories
        self._inbox = inbox
        self._search = search
        self._sent_days = sent_days
        self._received_days = received_days

    def start(self, tasks: Tasks) -> None:
        """Starts each job at its own pace."""
        tasks.every("partitions ahead", 3600.0, self._partitions.make_ahead)
        tasks.every("sent retention", 600.0, self.remove_sent)
        tasks.every("received retention", 600.0, self.remove_received)
        tasks.every("deleted texts", 60.0, self._stories.blank_deleted)
        tasks.every("forgotten numbers", 600.0, self.forget_numbers)

    async def told(self, _: AskRetention) -> Kept:
        """How long this service keeps what."""
        return Kept({"sent": self._sent_days, "received": self._received_days})

    async def remove_sent(self) -> None:
        """Drops whole weeks, oldest first, each in a tick of its own."""
        while await self._partitions.remove_oldest(self._sent_days):
            pass

    async def remove_received(self) -> None:
        """Deletes old received texts in bounded batches."""
        while await self._inbox.remove_old(self._received_days, BATCH) == BATCH:
            pass

    async def forget_numbers(self) -> None:
        """Lets the search forget hours and numbers of which nothing is kept any more."""
        await self._search.forget(max(self._sent_days, self._received_days) + WEEK_DAYS)
