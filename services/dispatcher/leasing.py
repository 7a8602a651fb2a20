"""Sessions, leases and takes: who may hold which message, and who may send it (architecture, section 4)."""

import asyncio
from collections.abc import Callable, Sequence

from services.dispatcher.fleet import Fleet
from services.dispatcher.routing import queues_of
from services.dispatcher.store.leases import Asked, LeasedJob, Leases, ServedQueue
from services.dispatcher.store.phones import Phones
from services.dispatcher.store.queues import Queues, ReadyCount
from services.dispatcher.wakes import Wakes
from shared.bus.batching import Batcher, at_most
from shared.contracts.phone import Job
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.phones import (
    CloseSession,
    Lease,
    Leased,
    OpenSession,
    RenewSessions,
    SessionOpened,
    SessionsRenewed,
    TakeAttempts,
    TakenAttempts,
)
from shared.errors import Forbidden, StaleSession
from shared.model.ids import MessageId, attempt_id, parse_attempt_id

MAX_PLACES = 100
"""Most untaken jobs that one SIM may hold."""

SLOTS = range(1, 9)
"""SIM slots that a phone may name."""

TAKES_PER_STATEMENT = 256
TAKE_TIMEOUT_S = 8.0

LOOK_GAP_S = 0.1
"""Between two looks at the fleet for phones that came and went: a look reads every phone, and thousands may drop."""

LOOK_TIMEOUT_S = 4.0
MOST_COMINGS = 100_000
"""Phones that may wait for a look; more are refused, and come again."""


class Leasing:
    """Answers phones. `run()` must be running for take() to answer, `look()` for those that open and close sessions."""

    def __init__(
        self, phones: Phones, leases: Leases, queues: Queues, fleet: Fleet, wakes: Wakes, monotonic: Callable[[], float]
    ) -> None:
        """Uses these stores; wakes other phones for what a session's end made ready. `monotonic` gives seconds."""
        self._phones = phones
        self._leases = leases
        self._queues = queues
        self._fleet = fleet
        self._monotonic = monotonic
        self._wakes = wakes
        self._channels: dict[tuple[str, int], tuple[str, ...]] = {}
        self._takes: Batcher[list[Asked], set[tuple[bytes, int]]] = Batcher(
            self._take_batch, fits=at_most(TAKES_PER_STATEMENT)
        )
        self._comings: Batcher[Sequence[ReadyCount], None] = Batcher(
            self._look_once, fits=at_most(MOST_COMINGS), bound=MOST_COMINGS
        )
        self._look_at = float("-inf")

    async def run(self) -> None:
        """Answers takes, many phones' in one statement, until cancelled."""
        await self._takes.run()

    async def look(self) -> None:
        """Looks at the fleet for phones that came and went, once for many, until cancelled."""
        await self._comings.run()

    async def open_session(self, hello: OpenSession) -> SessionOpened:
        """A new session of the phone. Raises Forbidden for a deleted device."""
        opened = await self._phones.open_session(hello)
        if opened is None:
            raise Forbidden("This device was removed.")
        await self._known(opened.freed)
        return SessionOpened(session=opened.session, again=[_job(job) for job in opened.again])

    async def lease(self, ask: Lease) -> Leased:
        """Work for each SIM that has room. Raises StaleSession when the session is not the newest."""
        held = set(ask.held)
        places = {slot: max(0, min(wanted, MAX_PLACES)) for slot, wanted in ask.places.items() if slot in SLOTS}
        keys = queues_of(ask.account, ask.device, places, await self._channels_of(ask.device, ask.session))
        if not self._fleet.may_have_free_work(ask.account, ask.device, self._monotonic()):
            keys = [key for key in keys if key.device is not None]
        queues = await self._queues.intern(keys)
        served = [ServedQueue(queue, key.sim) for queue, key in zip(queues, keys, strict=True)]
        leased = await self._leases.lease(ask.account, ask.device, ask.session, places, served)
        if leased is None:
            raise StaleSession
        return Leased([job for job in map(_job, leased) if job.attempt not in held])

    async def take(self, ask: TakeAttempts) -> TakenAttempts:
        """Those of the attempts that are this session's to send, in the order asked."""
        asked = [
            Asked(parsed[0], parsed[1], ask.device, ask.session, ask.account)
            for text in ask.attempts
            if (parsed := parse_attempt_id(text))
        ]
        if not asked:
            return TakenAttempts([])
        granted = await self._takes.add(asked, TAKE_TIMEOUT_S)
        return TakenAttempts(
            [attempt_id(MessageId(one.message), one.number) for one in asked if (one.message, one.number) in granted]
        )

    async def renew(self, ask: RenewSessions) -> SessionsRenewed:
        """Renews all of a gateway's sessions in one statement."""
        return SessionsRenewed(await self._phones.renew(ask.sessions))

    async def close_session(self, ask: CloseSession) -> Done:
        """The connection ended: untaken work goes to other phones at once."""
        self._channels.pop((ask.device, ask.session), None)
        freed = await self._phones.close_session(ask.account, ask.device, ask.session)
        await self._known(freed)
        return Done()

    async def give_back(self, freed: Sequence[ReadyCount]) -> None:
        """What phones had leased and not taken is for others: tells those that suit."""
        self._leases.freed(count.queue for count in freed)
        await self._wakes.wake_for(freed)

    async def _known(self, freed: Sequence[ReadyCount]) -> None:
        """Returns when the fleet knows of a phone that came or went and had this untaken."""
        self._leases.freed(count.queue for count in freed)
        await self._comings.add(freed, LOOK_TIMEOUT_S)

    async def _look_once(self, freed: list[Sequence[ReadyCount]]) -> Sequence[None]:
        """One look at the fleet for all who came and went; then others are told of what those had."""
        await asyncio.sleep(max(0.0, self._look_at - self._monotonic()))
        await self._fleet.refresh()
        self._look_at = self._monotonic() + LOOK_GAP_S
        await self._wakes.wake_for([count for counts in freed for count in counts])
        return [None] * len(freed)

    async def _take_batch(self, asks: list[list[Asked]]) -> Sequence[set[tuple[bytes, int]]]:
        flat = [one for ask in asks for one in ask]
        granted = await self._leases.take(flat)
        return [granted & {(one.message, one.number) for one in ask} for ask in asks]

    async def _channels_of(self, device: str, session: int) -> tuple[str, ...]:
        known = self._channels.get((device, session))
        if known is None:
            known = await self._phones.channels(device, session)
            if known is None:
                raise StaleSession
            if len(self._channels) > 100_000:
                self._channels.clear()
            self._channels[(device, session)] = known
        return known


def _job(job: LeasedJob) -> Job:
    return Job(
        attempt=attempt_id(MessageId(job.message), job.attempt),
        sim=job.sim,
        number=job.recipient,
        text=job.text,
        valid_until_ms=int(job.valid_until * 1000),
        channel=job.channel,
        media_url=job.media_url,
        wait_ms=job.wait_ms,
    )
