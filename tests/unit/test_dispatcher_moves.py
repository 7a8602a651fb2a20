"""The table of allowed moves: what no sequence of causes may ever do to a message."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.states import (
    MOVES,
    RANKED,
    RESENDABLE,
    UNTAKEN,
    AttemptState,
    Cause,
    MessageState,
    derive,
    may_move,
    move,
    rank,
)

STATES: tuple[MessageState, ...] = get_args(MessageState)
CAUSES: tuple[Cause, ...] = get_args(Cause)
REPORTS: tuple[AttemptState, ...] = ("unknown", "canceled", "sent", "failed", "delivered")
TAKEN: tuple[AttemptState, ...] = RANKED[1:]
BEGINNINGS: tuple[MessageState, ...] = ("scheduled", "queued")

lives = st.tuples(st.sampled_from(BEGINNINGS), st.lists(st.sampled_from(CAUSES), max_size=40))


def lived(beginning: MessageState, causes: list[Cause]) -> list[tuple[MessageState, Cause, MessageState]]:
    """The moves that were made; causes that may not act are passed over."""
    steps, state = [], beginning
    for cause in causes:
        after = move(state, cause)
        if after is not None:
            steps.append((state, cause, after))
            state = after
    return steps


def test_every_cause_stands_in_the_table_and_every_state_is_reached() -> None:
    assert set(MOVES) == set(CAUSES)
    reached = {after for _, after in MOVES.values()} | set(BEGINNINGS)
    assert reached == set(STATES)


@given(lives)
def test_delivered_is_final(life: tuple[MessageState, list[Cause]]) -> None:
    assert all(before != "delivered" for before, _, _ in lived(*life))


@given(lives)
def test_what_was_sent_is_never_given_out_again(life: tuple[MessageState, list[Cause]]) -> None:
    for before, _, after in lived(*life):
        if before in ("sent", "delivered"):
            assert after in ("delivered", "failed")


@given(lives)
def test_what_a_phone_took_comes_back_only_by_its_word_or_by_force(life: tuple[MessageState, list[Cause]]) -> None:
    for before, cause, after in lived(*life):
        if before in ("taken", "unknown") and after in UNTAKEN:
            assert cause in ("retry", "force_resend")


@given(lives)
def test_nobody_but_its_phone_ends_a_taken_message(life: tuple[MessageState, list[Cause]]) -> None:
    for before, cause, _ in lived(*life):
        if before == "taken":
            assert cause in (*REPORTS, "retry")


@given(lives)
def test_a_message_is_taken_only_out_of_a_lease(life: tuple[MessageState, list[Cause]]) -> None:
    for before, _, after in lived(*life):
        assert after != "taken" or before == "leased"
        assert after != "leased" or before == "queued"


@pytest.mark.parametrize("state", STATES)
def test_every_state_leads_to_rest(state: MessageState) -> None:
    """No message can be stuck: by time alone, or by a phone's word or silence, each comes to an end."""
    ends = {"sent", "delivered", "failed", "expired", "canceled", "unknown"}
    by_itself = {move(state, cause) for cause in ("expire", "unknown")} - {None}
    assert state in ends or by_itself & ends


@pytest.mark.parametrize("state", STATES)
def test_a_late_proof_of_sending_counts_in_every_state_after_a_take(state: MessageState) -> None:
    if state != "delivered":
        assert move(state, "delivered") == "delivered"
    if state not in ("sent", "delivered"):
        assert move(state, "sent") == "sent"


@pytest.mark.parametrize("state", STATES)
def test_only_what_was_certainly_not_sent_is_sent_again_without_force(state: MessageState) -> None:
    assert (move(state, "resend") is not None) == (state in RESENDABLE)
    assert (move(state, "force_resend") is not None) == (state in (*RESENDABLE, "unknown"))


@given(st.sampled_from(RANKED), st.sampled_from(REPORTS))
def test_a_report_moves_an_attempt_upwards_only(attempt: AttemptState, told: AttemptState) -> None:
    assert may_move(attempt, told) == (attempt != "leased" and rank(told) > rank(attempt))


@given(st.lists(st.sampled_from(TAKEN), min_size=1, max_size=6))
def test_a_message_follows_its_strongest_proof_and_otherwise_its_newest_attempt(attempts: list[AttemptState]) -> None:
    state = derive(attempts)
    if "delivered" in attempts:
        assert state == "delivered"
    elif "sent" in attempts:
        assert state == "sent"
    else:
        assert state == attempts[-1]


@given(st.lists(st.sampled_from(TAKEN), min_size=1, max_size=6), st.data())
def test_a_further_report_never_takes_back_a_proof(attempts: list[AttemptState], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(attempts) - 1))
    told = data.draw(st.sampled_from(REPORTS))
    before = derive(attempts)
    if may_move(attempts[place], told):
        attempts[place] = told
    after = derive(attempts)
    if before == "delivered":
        assert after == "delivered"
    if before == "sent":
        # Only a failure told after the sending takes it back; then it counts what the other attempts came to.
        assert after in ("sent", "delivered") or attempts[place] == "failed"
