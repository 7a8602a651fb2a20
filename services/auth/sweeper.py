"""What the clock does: signing keys change, uses are stored, what has expired is deleted."""

from services.auth.directory import Directory
from services.auth.rotation import Rotation
from services.auth.store.expired import Expired
from services.auth.uses import Gathered
from shared.runtime.clock import Clock
from shared.runtime.tasks import Tasks


class Sweeper:
    """The periodic jobs. Every replica runs them; a lock within each tick lets one of them act for all."""

    def __init__(
        self, rotation: Rotation, gathered: Gathered, expired: Expired, directory: Directory, clock: Clock
    ) -> None:
        """Runs nothing yet."""
        self._rotation = rotation
        self._gathered = gathered
        self._expired = expired
        self._directory = directory
        self._clock = clock

    def start(self, tasks: Tasks) -> None:
        """Starts each job at its own pace."""
        tasks.every("seal anew", 3600.0, self._rotation.seal_anew)
        tasks.every("signing keys", 60.0, self._rotation.tick)
        tasks.every("uses", 10.0, self.flush)
        tasks.every("expired", 300.0, self.forget)

    async def flush(self) -> None:
        """Stores what this replica has gathered."""
        await self._gathered.flush(self._clock())

    async def forget(self) -> None:
        """Lets go of what has expired, here and in the tables."""
        self._directory.memory.forget(self._clock())
        await self._expired.forget()
