"""Which phone is preferred: the shortest expected wait, never one that fails far more than the others."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.routing import SPILL_S, Choice, OnlinePhone, QueueKey, drain_rate, failing


def phone(name: str, **changes: Any) -> OnlinePhone:
    fields: dict[str, Any] = {"account": 1, "channels": ("sms",), "slots": (1,), "seconds_each": 1.0}
    return OnlinePhone(name, **(fields | changes))


def test_the_idle_phone_comes_before_the_busy_one() -> None:
    choice = Choice([phone("busy", ahead=3), phone("idle")], {})
    assert choice.choose(1, "sms", 1) == "idle"


def test_what_was_given_out_since_the_last_look_counts() -> None:
    choice = Choice([phone("a"), phone("b")], {})
    assert [choice.choose(1, "sms", 1) for _ in range(4)] == ["a", "b", "a", "b"]


def test_a_faster_phone_gets_more() -> None:
    choice = Choice([phone("slow", seconds_each=4.0), phone("fast", seconds_each=0.5)], {})
    given_out = [choice.choose(1, "sms", 1) for _ in range(9)]
    assert given_out.count("fast") == 8


def test_nobody_is_preferred_when_all_are_busy_for_longer_than_the_spill_time() -> None:
    choice = Choice([phone("a"), phone("b")], {})
    chosen = [choice.choose(1, "sms", 1) for _ in range(12)]
    assert chosen.count(None) == 2
    assert chosen[-2:] == [None, None], "each has five seconds of work by then"


def test_what_waits_for_any_phone_counts_for_all() -> None:
    waiting = {QueueKey(1, None, None, "sms"): 100}
    assert Choice([phone("a"), phone("b")], waiting).choose(1, "sms", 1) is None


def test_budgets_make_a_phone_slow() -> None:
    choice = Choice([phone("limited", per_s=0.1), phone("free", ahead=4)], {})
    assert choice.choose(1, "sms", 1) == "limited", "it is idle"
    assert choice.choose(1, "sms", 1) == "free", "the limited one needs ten seconds for a part"


def test_phones_of_other_accounts_and_channels_are_not_chosen() -> None:
    choice = Choice([phone("other", account=2), phone("whatsapp", channels=("whatsapp",))], {})
    assert choice.choose(1, "sms", 1) is None
    assert choice.within_reach(1, "whatsapp") == ["whatsapp"]


def test_a_phone_that_fails_far_more_than_the_others_is_not_preferred() -> None:
    phones = [phone("bad", failure_rate=0.8), phone("good", failure_rate=0.05, ahead=2), phone("fair", ahead=2)]
    assert failing(phones) == {"bad"}
    choice = Choice(phones, {})
    assert "bad" not in {choice.choose(1, "sms", 1) for _ in range(10)}
    assert choice.has_healthy(1)


def test_when_all_fail_alike_nobody_is_singled_out() -> None:
    assert failing([phone(name, failure_rate=0.6) for name in "abc"]) == frozenset()
    assert failing([phone("alone", failure_rate=1.0)]) == frozenset()


def test_a_queue_drains_by_all_that_serve_it() -> None:
    phones = [phone("a"), phone("b", seconds_each=0.5), phone("c", channels=("whatsapp",))]
    assert drain_rate(phones, QueueKey(1, None, None, "sms")) == 3.0
    assert drain_rate(phones, QueueKey(1, "b", None, "sms")) == 2.0
    assert drain_rate(phones, QueueKey(1, None, 2, "sms")) == 0.0


phones = st.lists(
    st.builds(
        phone,
        st.uuids().map(str),
        ahead=st.integers(0, 20),
        seconds_each=st.one_of(st.none(), st.floats(0.0, 30.0)),
        per_s=st.one_of(st.none(), st.floats(0.001, 10.0)),
        failure_rate=st.floats(0.0, 1.0),
    ),
    max_size=6,
)


@given(phones, st.lists(st.integers(1, 10), max_size=30))
def test_nobody_is_ever_given_more_than_fits_before_the_spill_time(
    fleet: list[OnlinePhone], messages: list[int]
) -> None:
    choice = Choice(fleet, {})
    by_name = {each.device: each for each in fleet}
    parts = {each.device: each.ahead for each in fleet}
    for size in messages:
        chosen = choice.choose(1, "sms", size)
        if chosen is None:
            continue
        assert chosen not in choice.failing
        assert parts[chosen] / by_name[chosen].parts_per_s < SPILL_S + 1e-6
        parts[chosen] += size
