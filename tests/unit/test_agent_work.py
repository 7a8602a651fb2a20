"""The desk: what is asked for, taken and handed to the radio."""

import time

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.journal import State
from agent.work import HOLD_LIMIT, PLACES, Desk
from tests.support.fake_gateway import new_job

NOW = int(time.time() * 1000)


def held_desk(*slots: int) -> tuple[Desk, list[str]]:
    """A desk of two SIMs that holds one job for each slot named, and their attempts."""
    desk = Desk((1, 2))
    desk.ready()
    jobs = [new_job(slot) for slot in slots]
    for job in jobs:
        assert desk.offer(job, None, NOW) == "held"
    return desk, [job.attempt for job in jobs]


def test_a_new_desk_asks_for_two_places_of_each_sim_once() -> None:
    desk = Desk((1, 2))
    assert desk.wants_to_ask(idle=False)
    frame = desk.ready()
    assert frame.places == {1: PLACES, 2: PLACES}
    assert frame.held == []
    assert not desk.wants_to_ask(idle=False)
    assert desk.wants_to_ask(idle=True)


def test_held_jobs_are_named_and_a_full_desk_does_not_ask() -> None:
    desk, attempts = held_desk(1, 1, 2, 2)
    desk.wake()
    assert not desk.wants_to_ask(idle=True)
    assert desk.ready().held == attempts


def test_one_take_names_the_oldest_job_of_each_sim() -> None:
    desk, attempts = held_desk(1, 1, 2)
    assert desk.to_take(NOW) == [attempts[0], attempts[2]]
    assert desk.to_take(NOW) == []


def test_only_what_is_granted_reaches_the_radio() -> None:
    desk, (first, second) = held_desk(1, 2)
    asked = desk.to_take(NOW)
    desk.taken(asked, [first, "not-asked-for"])
    begun = desk.begin(1)
    assert begun is not None
    assert begun.attempt == first
    assert desk.begin(2) is None
    assert not desk.in_hand(second)


def test_a_granted_job_frees_its_place() -> None:
    desk, _ = held_desk(1)
    desk.taken(desk.to_take(NOW), [])
    assert desk.wants_to_ask(idle=False)


def test_the_next_job_is_taken_while_the_radio_sends_but_no_more() -> None:
    desk, attempts = held_desk(1, 1, 1)
    desk.taken(desk.to_take(NOW), attempts)
    desk.begin(1)
    asked = desk.to_take(NOW)
    assert asked == [attempts[1]]
    desk.taken(asked, asked)
    assert desk.to_take(NOW) == []


def test_an_unanswered_take_is_asked_again_and_its_late_answer_counts_for_nothing() -> None:
    desk, (attempt,) = held_desk(1)
    asked = desk.to_take(NOW)
    desk.take_unanswered(asked)
    desk.taken(asked, asked)
    assert desk.begin(1) is None
    assert desk.to_take(NOW) == [attempt]


def test_a_lost_connection_forgets_the_untaken_and_keeps_the_taken() -> None:
    desk, attempts = held_desk(1, 1)
    desk.taken(desk.to_take(NOW), attempts)
    desk.connection_lost()
    assert desk.in_hand(attempts[0])
    assert not desk.in_hand(attempts[1])
    assert desk.begin(1) is not None
    assert desk.wants_to_ask(idle=False)


def test_an_answer_that_crosses_the_loss_of_the_connection_is_not_used() -> None:
    desk, _ = held_desk(1)
    asked = desk.to_take(NOW)
    desk.connection_lost()
    desk.taken(asked, asked)
    assert desk.begin(1) is None


def test_a_job_past_its_time_is_neither_kept_nor_taken() -> None:
    desk = Desk((1,))
    stale, fresh = new_job(1, valid_s=-86_400), new_job(1, valid_s=86_400)
    assert desk.offer(stale, None, NOW) == "ignored"
    assert desk.offer(fresh, None, NOW) == "held"
    assert desk.to_take(fresh.valid_until_ms) == []
    assert not desk.in_hand(fresh.attempt)


def test_what_the_journal_knows_is_never_held() -> None:
    desk = Desk((1,))
    states: dict[State, str] = {
        "sending": "report_unknown", "unknown": "report_again", "canceled": "report_again",
        "sent": "report_again", "failed": "report_again", "delivered": "report_again",
    }  # fmt: skip
    for state, verdict in states.items():
        assert desk.offer(new_job(1), state, NOW) == verdict
    assert desk.to_take(NOW) == []


def test_a_job_in_hand_is_ignored_in_every_stage() -> None:
    desk = Desk((1,))
    job = new_job(1)
    assert desk.offer(job, None, NOW) == "held"
    assert desk.offer(job, None, NOW) == "ignored"
    asked = desk.to_take(NOW)
    assert desk.offer(job, None, NOW) == "ignored"
    desk.taken(asked, asked)
    assert desk.offer(job, None, NOW) == "ignored"
    desk.begin(1)
    assert desk.offer(job, "sending", NOW) == "ignored"
    desk.finish(1)
    assert not desk.in_hand(job.attempt)


def test_what_this_phone_cannot_send_is_taken_all_the_same() -> None:
    desk = Desk((1,))
    strange, fax = new_job(3), new_job(1, channel="fax")
    assert [desk.offer(job, None, NOW) for job in (strange, fax)] == ["held", "held"]
    assert (desk.unsendable(strange), desk.unsendable(fax)) == ("no_sim", "no_channel")
    assert desk.unsendable(new_job(1)) is None
    desk.taken(desk.to_take(NOW), [strange.attempt])
    assert desk.begin(1) == strange


def test_a_gateway_that_gives_too_much_is_bounded() -> None:
    desk = Desk((1,))
    verdicts = [desk.offer(new_job(1), None, NOW) for _ in range(HOLD_LIMIT + 3)]
    assert verdicts.count("held") == HOLD_LIMIT


def test_a_closed_desk_takes_nothing_more() -> None:
    desk, _ = held_desk(1, 2)
    asked = desk.to_take(NOW)
    desk.close()
    desk.taken(asked, asked)
    assert desk.begin(1) is None
    assert desk.to_take(NOW) == []
    assert desk.offer(new_job(1), None, NOW) == "ignored"
    assert not desk.wants_to_ask(idle=True)


class AnyOrder(RuleBasedStateMachine):
    """Whatever the gateway says in whatever order, an attempt reaches the radio once, and only when granted."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk((1, 2))
        self.jobs = [new_job(1 + index % 2) for index in range(6)]
        self.journal: dict[str, State] = {}
        self.pending: list[list[str]] = []
        self.granted: set[str] = set()
        self.in_radio: dict[int, str] = {}

    @rule(index=st.integers(0, 5))
    def offer(self, index: int) -> None:
        job = self.jobs[index]
        self.desk.offer(job, self.journal.get(job.attempt), NOW)

    @rule()
    def take(self) -> None:
        if asked := self.desk.to_take(NOW):
            self.pending.append(asked)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        asked = self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1)))
        granted = data.draw(st.lists(st.sampled_from(asked), unique=True))
        self.granted.update(granted)
        self.desk.taken(asked, granted)

    @precondition(lambda self: self.pending)
    @rule()
    def time_out(self) -> None:
        self.desk.take_unanswered(self.pending.pop(0))

    @rule()
    def lose_connection(self) -> None:
        self.desk.connection_lost()
        self.pending.clear()

    @rule(slot=st.sampled_from((1, 2)))
    def begin(self, slot: int) -> None:
        if slot in self.in_radio:
            return
        job = self.desk.begin(slot)
        if job is not None:
            assert job.attempt in self.granted
            assert job.attempt not in self.journal
            self.journal[job.attempt] = "sending"
            self.in_radio[slot] = job.attempt

    @rule(slot=st.sampled_from((1, 2)), state=st.sampled_from(("sent", "failed", "unknown")))
    def finish(self, slot: int, state: State) -> None:
        if slot in self.in_radio:
            self.journal[self.in_radio.pop(slot)] = state
            self.desk.finish(slot)

    @invariant()
    def bounded(self) -> None:
        assert len(self.desk.ready().held) <= 2 * HOLD_LIMIT


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
