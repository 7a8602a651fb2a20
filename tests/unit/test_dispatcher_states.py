"""Folding reports: whatever their order and number, the strongest counts and every time is kept."""

import random

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.states import CHANGES_PER_ATTEMPT, RANKED, change_number, fold, rank, retry_delays
from shared.contracts.phone import Outcome
from shared.contracts.reports import AttemptReported

OUTCOMES: tuple[Outcome, ...] = ("sent", "delivered", "failed", "unknown", "canceled")

reports = st.builds(
    AttemptReported,
    account=st.just(1),
    device=st.sampled_from(["a", "b"]),
    message=st.sampled_from([b"m" * 20, b"n" * 20]),
    number=st.integers(1, 3),
    state=st.sampled_from(OUTCOMES),
    at=st.floats(1e9, 2e9),
    reason=st.none(),
)


@given(st.lists(reports, max_size=30), st.randoms())
def test_the_order_of_reports_does_not_matter(told: list[AttemptReported], chance: random.Random) -> None:
    shuffled = told[:]
    chance.shuffle(shuffled)
    assert fold(told) == fold(shuffled)
    assert fold(told + told) == fold(told)


@given(st.lists(reports, max_size=30))
def test_one_row_an_attempt_in_order_with_the_strongest_state(told: list[AttemptReported]) -> None:
    rows = fold(told)
    keys = [(row.message, row.number, row.device, row.account) for row in rows]
    assert keys == sorted(set(keys))
    for row in rows:
        own = [r for r in told if (r.message, r.number, r.device, r.account) == keys[rows.index(row)]]
        assert rank(row.state) == max(rank(report.state) for report in own)
        for state in OUTCOMES:
            times = [report.at for report in own if report.state == state]
            if state == "sent" and not times:
                times = [report.at for report in own if report.state == "delivered"]
            assert getattr(row, f"{state}_at") == (min(times) if times else None)


def test_change_numbers_grow_with_rank_and_attempt() -> None:
    numbers = [change_number(attempt, rank(state)) for attempt in (1, 2, 3) for state in RANKED]
    assert numbers == sorted(set(numbers))
    assert len(RANKED) < CHANGES_PER_ATTEMPT


def test_a_round_has_four_tries_and_a_permanent_error_one() -> None:
    assert [round(delay) for delay in retry_delays("generic", 0.5)] == [15, 60, 300]
    assert retry_delays("invalid_number", 0.5) == []
    low, high = retry_delays(None, 0.0), retry_delays(None, 1.0)
    assert all(down < up for down, up in zip(low, high, strict=True))
    assert [round(delay, 6) for delay in (low[0], high[0])] == [12, 18]
