"""Every step of the retry schedule, to the bound of its jitter."""

import pytest

from services.webhooks.schedule import HORIZON_S, OUTAGE_PATIENCE_S, SCHEDULE_S, Retry, after_failure

STEPS = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


def after(
    used_up: int,
    failing_s: float = 1e6,
    *,
    error: str = "status",
    random: float = 0.5,
    retry_after_s: float | None = None,
) -> Retry:
    return after_failure(used_up, failing_s, error=error, retry_after_s=retry_after_s, random=lambda: random)


@pytest.mark.parametrize(("used_up", "delay"), list(enumerate(STEPS)))
def test_each_attempt_waits_longer_within_a_fifth(used_up: int, delay: float) -> None:
    for random, factor in ((0.5, 1.0), (0.0, 0.8), (1.0, 1.2)):
        retry = after(used_up, random=random)
        assert (retry.counted, retry.last) == (True, False)
        assert retry.delay_s == pytest.approx(delay * factor)


def test_ten_attempts_take_three_days_and_end() -> None:
    assert sum(SCHEDULE_S) == HORIZON_S == pytest.approx(75.585 * 3600, rel=1e-3)
    for error in ("connect", "status", "timeout"):
        for used_up in (9, 10, 11):
            assert after(used_up, error=error).last


@pytest.mark.parametrize("random", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("outage", [0.5, 3.0, 10.0, 30.0, 60.0])
def test_an_outage_is_prolonged_by_little_and_costs_no_attempt(outage: float, random: float) -> None:
    now = 0.0
    while now < outage:
        retry = after(0, now, error="connect", random=random)
        assert not retry.counted
        now += retry.delay_s
    assert now <= outage * 1.6 + 1.2


def test_an_outage_is_no_hammering() -> None:
    now, tries = 0.0, 0
    while now < OUTAGE_PATIENCE_S:
        now, tries = now + after(0, now, error="reset", random=0.0).delay_s, tries + 1
    assert tries < 20


def test_a_long_outage_follows_the_schedule() -> None:
    assert after(0, OUTAGE_PATIENCE_S, error="dns") == Retry(5.0, counted=True)


def test_a_receiver_that_answers_badly_gets_no_ladder() -> None:
    assert after(1, 1.0) == Retry(300.0, counted=True)
    assert after(1, 1.0, error="timeout") == Retry(300.0, counted=True)


def test_retry_after_makes_a_wait_longer_and_never_shorter_nor_endless() -> None:
    assert after(0, 1.0, retry_after_s=60.0).delay_s == 60
    assert after(1, 1.0, retry_after_s=60.0).delay_s == 300
    assert after(0, 1000.0, retry_after_s=1e9).delay_s == HORIZON_S - 1000
    assert after(0, HORIZON_S + 5, retry_after_s=1e9).delay_s == 5
