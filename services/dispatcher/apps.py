"""Answers phones of the app's protocol: for them the answer to a pull is the lease and the taking in one."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from services.dispatcher.leasing import Leasing
from services.dispatcher.routing import GUESSED_SECONDS_EACH, LEAST_SECONDS_EACH
from services.dispatcher.store.apps import Apps, Arrived, Listed
from services.dispatcher.store.signs import Signs
from shared.contracts import registry
from shared.contracts.registry import Rpc
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.apps import AppAttached, AppJob, AttachApp, LoseList, NoteSigns, Pulled, PullWork, UpdateApp
from shared.contracts.rpc.phones import Lease, TakeAttempts
from shared.errors import NotFound, StaleSession
from shared.model.ids import MessageId, attempt_id, parse_attempt_id

AHEAD_S: Final = 15.0
"""A phone holds what it can send in about this many seconds."""

MAX_LISTED: Final = 100
"""Most messages in one list, as the app is used to."""

TRIES: Final = 3
"""How often a pull begins again because the phone opened another stream in the meantime."""

NO_SUCH_PHONE: Final = "There is no such phone in this account."


class AppAnswers:
    """One method a question."""

    def __init__(self, apps: Apps, signs: Signs, leasing: Leasing) -> None:
        """Leases and takes as for all phones."""
        self._apps = apps
        self._signs = signs
        self._leasing = leasing

    async def pull(self, ask: PullWork) -> Pulled:
        """The phone's list. Raises NotFound, StaleSession."""
        for tries_left in reversed(range(TRIES)):
            arrived = await self._apps.arrive(ask.account, ask.device)
            if arrived is None:
                raise NotFound(NO_SUCH_PHONE)
            try:
                taken = await self._take(ask, arrived)
                break
            except StaleSession:
                if not tries_left:
                    raise
        listed = await self._apps.listed(ask.account, ask.device, taken)
        return Pulled([_job(each) for each in listed[:MAX_LISTED]], len(taken))

    async def lose(self, ask: LoseList) -> Done:
        """The list did not arrive; the next one holds the same again."""
        lost = [parsed for text in ask.attempts if (parsed := parse_attempt_id(text))]
        await self._apps.lose(ask.account, ask.device, lost)
        return Done()

    async def attach(self, ask: AttachApp) -> AppAttached:
        """A session for the phone's stream; it is counted on within a second. Raises NotFound."""
        session = await self._apps.attach(ask.account, ask.device, ask.gateway)
        if session is None:
            raise NotFound(NO_SUCH_PHONE)
        return AppAttached(session)

    async def update(self, ask: UpdateApp) -> Done:
        """Keeps what the phone is. Raises NotFound."""
        if not await self._apps.update(ask.account, ask.device, ask.software, ask.sims):
            raise NotFound(NO_SUCH_PHONE)
        return Done()

    async def note(self, ask: NoteSigns) -> Done:
        """Keeps signs of life."""
        await self._signs.note(ask.signs)
        return Done()

    def bound(self) -> list[tuple[Rpc[Any, Any], Callable[[Any], Awaitable[Any]]]]:
        """Each question with who answers it."""
        return [
            (registry.DISPATCHER_APP_PULL, self.pull),
            (registry.DISPATCHER_APP_LOSE, self.lose),
            (registry.DISPATCHER_APP_ATTACH, self.attach),
            (registry.DISPATCHER_APP_UPDATE, self.update),
            (registry.DISPATCHER_APP_SIGNS, self.note),
        ]

    async def _take(self, ask: PullWork, arrived: Arrived) -> Sequence[tuple[bytes, int]]:
        places = places_of(arrived)
        if not places:
            return []
        leased = await self._leasing.lease(
            Lease(account=ask.account, device=ask.device, session=arrived.session, places=places, held=[])
        )
        attempts = [job.attempt for job in leased.jobs]
        taken = await self._leasing.take(
            TakeAttempts(account=ask.account, device=ask.device, session=arrived.session, attempts=attempts)
        )
        return [parsed for attempt in taken.attempts if (parsed := parse_attempt_id(attempt))]


def places_of(phone: Arrived) -> dict[int, int]:
    """How many messages each SIM may be given now: together what the phone can send in 15 s, less what it holds.

    The app sends one text after the other, whatever the SIM, and rests in between as its owner wishes, which a pace
    that was measured before does not know. A phone that holds nothing is given 1 at least.
    """
    if not phone.works or not phone.slots:
        return {}
    seconds = GUESSED_SECONDS_EACH if phone.seconds_each is None else max(phone.seconds_each, LEAST_SECONDS_EACH)
    room = max(1, min(int(AHEAD_S / max(seconds, phone.pause_s)), MAX_LISTED)) - phone.held
    each = min(math.ceil(room / len(phone.slots)), MAX_LISTED // len(phone.slots))
    return dict.fromkeys(phone.slots, each) if room > 0 else {}


def _job(listed: Listed) -> AppJob:
    return AppJob(
        attempt=attempt_id(MessageId(listed.message), listed.attempt),
        sim=listed.sim,
        number=listed.number,
        text=listed.text,
        valid_until_ms=int(listed.valid_until * 1000),
        priority=listed.priority,
        cancel=listed.cancel,
    )
