"""Learns how fast and how well phones send, from the reports that pass by; kept for all replicas every few seconds."""

from collections.abc import Iterable

from services.dispatcher.store.roster import Pace, Roster


class Paces:
    """Adds up what phones did until the next `keep()`. What a crash loses is only an estimate."""

    def __init__(self, roster: Roster) -> None:
        """Keeps what it learned there."""
        self._roster = roster
        self._new: dict[str, Pace] = {}

    def note(self, paces: Iterable[Pace]) -> None:
        """Adds what a batch of reports said."""
        for pace in paces:
            known = self._new.get(pace.device)
            self._new[pace.device] = pace if known is None else _sum(known, pace)

    async def keep(self) -> None:
        """Writes down what was learned since the last time; kept for the next time where that fails."""
        new, self._new = self._new, {}
        if not new:
            return
        try:
            await self._roster.keep_paces(list(new.values()))
        except BaseException:
            self.note(new.values())
            raise


def _sum(one: Pace, other: Pace) -> Pace:
    return Pace(
        one.device,
        one.succeeded + other.succeeded,
        one.failed + other.failed,
        one.seconds + other.seconds,
    )
