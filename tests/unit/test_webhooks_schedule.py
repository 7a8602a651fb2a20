"""Every step of the retry schedule, to the bound of its jitter."""

import pytest

from services.webhooks.schedule import OUTAGE_PATIENCE_S, SCHEDULE_S, Retry, after_failure

STEPS = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


@pytest.mark.parametrize(("attempts", "delay"), list(enumerate(STEPS, start=1)))
def test_each_attempt_waits_longer_within_a_fifth(attempts: int, delay: float) -> None:
    def step(random: float) -> Retry | None:
        return after_failure(attempts, 1e6, unreachable=False, random=lambda: random)

    for random, factor in ((0.5, 1.0), (0.0, 0.8), (1.0, 1.2)):
        retry = step(random)
        assert retry is not None
        assert retry.counted
        assert retry.delay_s == pytest.approx(delay * factor)


def test_ten_attempts_take_three_days_and_end() -> None:
    assert sum(SCHEDULE_S) == pytest.approx(75.585 * 3600, rel=1e-3)
    for unreachable in (True, False):
        assert after_failure(10, 1e6, unreachable=unreachable, random=lambda: 0.5) is None
        assert after_failure(11, 1e6, unreachable=unreachable, random=lambda: 0.5) is None


@pytest.mark.parametrize("random", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("outage", [0.5, 3.0, 10.0, 30.0, 60.0])
def test_an_outage_is_prolonged_by_little_and_costs_no_attempt(outage: float, random: float) -> None:
    now = 0.0
    while now < outage:
        retry = after_failure(1, now, unreachable=True, random=lambda: random)
        assert retry is not None
        assert not retry.counted
        now += retry.delay_s
    assert now <= outage * 1.6 + 1.2


def test_an_outage_is_no_hammering() -> None:
    now, tries = 0.0, 0
    while now < OUTAGE_PATIENCE_S:
        retry = after_failure(1, now, unreachable=True, random=lambda: 0.0)
        assert retry is not None
        now, tries = now + retry.delay_s, tries + 1
    assert tries < 20


def test_a_long_outage_follows_the_schedule() -> None:
    assert after_failure(1, OUTAGE_PATIENCE_S, unreachable=True, random=lambda: 0.5) == Retry(5.0, counted=True)


def test_a_receiver_that_answers_badly_gets_no_ladder() -> None:
    assert after_failure(2, 1.0, unreachable=False, random=lambda: 0.5) == Retry(300.0, counted=True)
