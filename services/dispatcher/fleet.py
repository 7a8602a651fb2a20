"""The phones that are online now: read every second, asked for every message's preferred phone."""

from collections.abc import Sequence

from services.dispatcher.routing import Choice, Chosen, OnlinePhone
from services.dispatcher.store.roster import Roster
from shared.contracts.commands import SubmitSms
from shared.runtime.clock import Clock

PROBE_S = 10.0
"""A failing phone is given free work this often at most, so that it can show that it has recovered."""


class Fleet:
    """What this replica knows of the phones; `refresh()` brings it up to date."""

    def __init__(self, roster: Roster, clock: Clock) -> None:
        """Knows no phone before the first refresh()."""
        self._roster = roster
        self._clock = clock
        self._online: Sequence[OnlinePhone] = ()
        self._choice = Choice((), {})
        self._probed: dict[str, float] = {}

    @property
    def online(self) -> Sequence[OnlinePhone]:
        """Every phone with a live session that may work."""
        return self._online

    async def refresh(self) -> None:
        """Reads again which phones are online, how busy they are, and what waits for any of them."""
        self._online, backlog = await self._roster.online()
        self._choice = Choice(self._online, backlog)

    def prefer(self, command: SubmitSms) -> Chosen | None:
        """The choice for each recipient of a command that any phone may send; None for a pinned or a later one."""
        if command.device is not None or command.sim is not None or command.scheduled_at > self._clock():
            return None
        account, channel = command.account, command.channel
        return Chosen(
            [self._choice.choose(account, channel, command.parts) for _ in command.recipients],
            self._choice.within_reach(account, channel),
        )

    def may_have_free_work(self, account: int, device: str, now: float) -> bool:
        """False for a phone that fails far more than the others, but for a probe now and then. `now`: seconds."""
        if device not in self._choice.failing or not self._choice.has_healthy(account):
            self._probed.pop(device, None)
            return True
        if now - self._probed.get(device, float("-inf")) < PROBE_S:
            return False
        self._probed[device] = now
        return True
