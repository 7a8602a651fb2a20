"""Two dispatchers and five phones in generated orders on real Postgres, against a simple model of what radios did.

Lost replies, crashes, repeated and late reports, lost journals, zombies: whatever the order, no message is lost, none
is performed twice, and every message ends in a state that its radios explain.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.dispatcher.fleet import Fleet
from services.dispatcher.states import MOVES, MessageState, derive, fold
from services.dispatcher.store.leases import Asked, LeasedJob
from services.dispatcher.store.reports import Reports
from services.dispatcher.store.stories import Stories
from shared.contracts.phone import Outcome
from shared.contracts.reports import AttemptReported
from shared.db.pool import Pool
from shared.runtime.clock import system_clock
from tests.support.dispatching import ACCOUNT, Stores, hello, submit_sms
from tests.support.scale import scaled

Attempt = tuple[bytes, int]

PHONES = 5
ACTIONS = [
    *("submit", "submit", "open", "open", "wipe", "lease", "lease", "lease", "take", "take", "lost_take"),
    *("zombie_take", "perform", "perform", "perform", "fail", "crash", "report", "report", "repeat_reports"),
    *("silence", "cancel", "later", "lapse", "resend", "spill", "look"),
]

ALLOWED = {(before, after) for befores, after in MOVES.values() for before in befores}

SHOWN = """
select m.id, case w.state when 'later' then 'scheduled' when 'ready' then 'queued' when 'leased' then 'leased'
    when 'taken' then case m.state when 'unknown' then 'unknown' else 'taken' end else m.state end as state
from messages m left join work w on w.message_id = m.id
"""


@dataclass
class Phone:
    """What a phone knows: its journal survives a crash, its leases do not."""

    device: str
    session: int = 0
    older_session: int = 0
    journal: int = 0
    leased: list[Attempt] = field(default_factory=list)
    granted: list[Attempt] = field(default_factory=list)
    written: dict[Attempt, Outcome | None] = field(default_factory=dict)
    unreported: list[AttemptReported] = field(default_factory=list)
    reported: list[AttemptReported] = field(default_factory=list)


class World:
    """The database, the phones, and what their radios really did."""

    def __init__(self, stores: tuple[Stores, Stores], seed: int) -> None:
        self.stores = stores
        self.pool = stores[0].pool
        self.chance = random.Random(seed)
        self.phones = [Phone(hello().device) for _ in range(PHONES)]
        self.submitted: list[bytes] = []
        self.sends: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
        self.clock = 1_000_000_000.0
        self.fleet = Fleet(stores[0].roster, system_clock)
        self.seen: dict[bytes, MessageState] = {}

    def dispatcher(self) -> Stores:
        return self.chance.choice(self.stores)

    async def act(self, action: str) -> None:
        phone = self.chance.choice(self.phones)
        await getattr(self, action)(phone)
        await self.watch(action)

    async def watch(self, action: str) -> None:
        """Holds what the action did to every message to the table of moves."""
        now: dict[bytes, MessageState] = {row["id"]: row["state"] for row in await self.pool.fetch(SHOWN)}
        for message, before in self.seen.items():
            after = now[message]
            assert before == after or (before, after) in ALLOWED, f"{action} moved {before} to {after}"
        self.seen = now

    async def submit(self, _: Phone) -> None:
        command = submit_sms(*[f"+1555{self.chance.randrange(10**6):06}" for _ in range(self.chance.randint(1, 4))])
        self.submitted += [recipient.id for recipient in command.recipients]
        for _turn in range(self.chance.choice([1, 1, 2])):
            await self.dispatcher().messages.submit([command], self.fleet.prefer)

    async def open(self, phone: Phone) -> None:
        opened = await self.dispatcher().phones.open_session(hello(phone.device, journal=str(phone.journal)))
        assert opened is not None
        phone.older_session, phone.session = phone.session, opened.session
        # A crash may have come before the hello: what the journal calls begun and nobody is doing is unknown.
        for attempt, outcome in phone.written.items():
            if outcome is None:
                self.note(phone, attempt, "unknown")
        phone.leased = [(job.message, job.attempt) for job in opened.again if self.is_new(phone, job)]
        phone.granted = []

    async def wipe(self, phone: Phone) -> None:
        """The journal is lost; the radio's deeds are not."""
        phone.journal += 1
        phone.written.clear()
        phone.unreported.clear()
        phone.reported.clear()
        phone.leased, phone.granted = [], []
        await self.open(phone)

    async def lease(self, phone: Phone) -> None:
        leased = await self.dispatcher().lease(phone.device, phone.session, places=self.chance.randint(1, 3))
        for job in leased or []:
            if self.is_new(phone, job) and (job.message, job.attempt) not in phone.leased + phone.granted:
                phone.leased.append((job.message, job.attempt))

    async def take(self, phone: Phone) -> None:
        phone.granted += await self.ask(phone, phone.session)
        phone.leased = []

    async def lost_take(self, phone: Phone) -> None:
        await self.ask(phone, phone.session)

    async def zombie_take(self, phone: Phone) -> None:
        if phone.older_session:
            assert await self.ask(phone, phone.older_session) == []

    async def ask(self, phone: Phone, session: int) -> list[Attempt]:
        asked = [Asked(message, number, phone.device, session, ACCOUNT) for message, number in phone.leased]
        granted = await self.dispatcher().leases.take(asked)
        return [attempt for attempt in phone.leased if attempt in granted]

    async def perform(self, phone: Phone) -> None:
        self.radio(phone, "sent")

    async def fail(self, phone: Phone) -> None:
        self.radio(phone, "failed")

    async def crash(self, phone: Phone) -> None:
        """In the middle of a sending, if one was at hand: it is written down, its outcome is not."""
        if phone.granted:
            message, number = attempt = phone.granted.pop(0)
            phone.written[attempt] = None
            self.sends[message].append((phone.device, number))
        phone.leased, phone.granted = [], []
        await self.open(phone)

    def radio(self, phone: Phone, outcome: Outcome) -> None:
        if not phone.granted:
            return
        message, number = attempt = phone.granted.pop(0)
        assert attempt not in phone.written
        if outcome == "sent":
            self.sends[message].append((phone.device, number))
        self.note(phone, attempt, outcome)
        if outcome == "sent" and self.chance.random() < 0.5:
            self.note(phone, attempt, "delivered")

    def note(self, phone: Phone, attempt: Attempt, outcome: Outcome) -> None:
        self.clock += 1
        phone.written[attempt] = outcome
        message, number = attempt
        phone.unreported.append(
            AttemptReported(
                account=ACCOUNT, device=phone.device, message=message, number=number, state=outcome, at=self.clock
            )
        )

    async def report(self, phone: Phone) -> None:
        told = phone.unreported[:]
        self.chance.shuffle(told)
        keep = self.chance.randint(0, len(told))
        now, phone.unreported = told[keep:], told[:keep]
        await self.tell(now)
        phone.reported += now

    async def repeat_reports(self, phone: Phone) -> None:
        await self.tell(self.chance.sample(phone.reported, min(3, len(phone.reported))))

    async def tell(self, reports: list[AttemptReported]) -> None:
        if reports:
            await Reports(self.pool).fold(fold(reports), self.chance.random())

    async def silence(self, phone: Phone) -> None:
        """Ten minutes without a word from this phone."""
        await self.pool.execute(
            "update devices set renewed_at = now() - interval '11 minutes', "
            "last_seen_at = now() - interval '11 minutes' where id = $1",
            phone.device,
        )
        await self.pool.execute(
            "update work set taken_at = now() - interval '11 minutes' where holder = $1 and state = 'taken'",
            phone.device,
        )
        await self.dispatcher().work.end_lapsed_leases()
        await self.dispatcher().work.mark_silent()

    async def lapse(self, phone: Phone) -> None:
        await self.pool.execute(
            "update devices set renewed_at = now() - interval '31 seconds' where id = $1", phone.device
        )
        await self.dispatcher().work.end_lapsed_leases()
        await self.pool.execute("update devices set renewed_at = now() where id = $1", phone.device)

    async def cancel(self, _: Phone) -> None:
        if self.submitted:
            await Stories(self.pool).cancel(self.chance.choice(self.submitted), ACCOUNT)

    async def look(self, _: Phone) -> None:
        """The dispatchers notice who is online; they may be wrong about it until they look again."""
        await self.fleet.refresh()

    async def spill(self, _: Phone) -> None:
        await self.pool.execute("update work set spill_at = now() where spill_at is not null")
        await self.dispatcher().work.spill()

    async def resend(self, _: Phone) -> None:
        if self.submitted:
            await Stories(self.pool).resend(self.chance.choice(self.submitted), ACCOUNT, force=False)

    async def later(self, _: Phone) -> None:
        """Minutes pass: retries are due."""
        await self.pool.execute("update work set due = now() where state = 'later'")
        await self.dispatcher().work.make_due_ready()

    def is_new(self, phone: Phone, job: LeasedJob) -> bool:
        return (job.message, job.attempt) not in phone.written

    async def settle(self) -> None:
        """Everything comes back: all phones report all they know, and work until nothing is left to do."""
        for phone in self.phones:
            await self.open(phone)
        for _ in range(60):
            for phone in self.phones:
                await self.tell(phone.unreported)
                phone.reported += phone.unreported
                phone.unreported = []
                await self.later(phone)
                await self.spill(phone)
                await self.lease(phone)
                await self.take(phone)
                while phone.granted:
                    self.radio(phone, "sent")
            if not await self.pool.fetchval("select count(*) from work") and not any(
                phone.unreported for phone in self.phones
            ):
                return
        left = await self.pool.fetch("select * from work")
        raise AssertionError(f"work is left: {left}")

    async def judge(self) -> None:
        rows = {row["id"]: row for row in await self.pool.fetch("select * from messages")}
        assert set(rows) == set(self.submitted), "a message was lost"
        for message, row in rows.items():
            sends = self.sends[message]
            assert len(sends) <= 1, f"performed {len(sends)} times: {sends}, {dict(row)}"
            if row["state"] in ("sent", "delivered"):
                assert sends, f"called {row['state']}, but no radio performed it"
            elif row["state"] in ("failed", "canceled"):
                assert not sends, f"called {row['state']}, but a radio performed it: {dict(row)}"
            else:
                assert row["state"] == "unknown", f"ended as {row['state']}"
        await self.explain()

    async def explain(self) -> None:
        """Every end is what the attempts say, or was decided before a phone took the last try."""
        told = defaultdict(list)
        for row in await self.pool.fetch("select message_id, number, state from attempts order by message_id, number"):
            told[row["message_id"]].append((row["number"], row["state"]))
        for row in await self.pool.fetch("select id, state, attempt from messages"):
            attempts = told[row["id"]]
            if attempts and (attempts[-1][0] == row["attempt"] or row["state"] in ("sent", "delivered")):
                assert row["state"] == derive([state for _, state in attempts]), (dict(row), attempts)
            else:
                assert row["state"] == "canceled", (dict(row), attempts)


@settings(
    max_examples=scaled(small=15, one=25, full=400),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32), actions=st.lists(st.sampled_from(ACTIONS), min_size=20, max_size=120))
async def test_nothing_is_lost_and_nothing_performed_twice(pool: Pool, seed: int, actions: list[str]) -> None:
    await pool.execute("truncate work, lanes, queues, messages, attempts, history, outbox, devices, sims")
    world = World((await Stores.on(pool), await Stores.on(pool)), seed)
    for phone in world.phones:
        await world.open(phone)
    for action in actions:
        await world.act(action)
    await world.settle()
    await world.judge()
