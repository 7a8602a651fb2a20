"""What a person types as a local time means one instant, also where the clock jumps."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.dashboard.frame import localtimes
from services.gateway.dashboard.frame.formats import zone_of
from shared.errors import Invalid

PARIS = "Europe/Paris"
ZONES = [PARIS, "UTC", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"]

TYPED = st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1))  # noqa: DTZ001 (that is what is typed)


@pytest.mark.parametrize(
    ("typed", "zone", "meant", "jump"),
    [
        ("2026-01-15T09:30", PARIS, "2026-01-15T08:30:00+00:00", ""),
        ("2026-07-15T09:30", PARIS, "2026-07-15T07:30:00+00:00", ""),
        ("2026-07-15T09:30:15", "UTC", "2026-07-15T09:30:15+00:00", ""),
        ("2026-03-29T01:59", PARIS, "2026-03-29T00:59:00+00:00", ""),
        # 02:30 does not exist: the clock shows 03:30 then.
        ("2026-03-29T02:30", PARIS, "2026-03-29T01:30:00+00:00", "gap"),
        ("2026-03-29T03:00", PARIS, "2026-03-29T01:00:00+00:00", ""),
        # 02:30 comes twice: the first one is still summer time.
        ("2026-10-25T02:30", PARIS, "2026-10-25T00:30:00+00:00", "twice"),
        ("2026-10-25T03:00", PARIS, "2026-10-25T02:00:00+00:00", ""),
        # A jump of half an hour.
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:45:00+00:00", "gap"),
        ("2026-07-15T09:30", "Nowhere/Land", "2026-07-15T09:30:00+00:00", ""),
    ],
)
def test_a_local_time(typed: str, zone: str, meant: str, jump: str) -> None:
    read = localtimes.read(typed, zone)
    assert (read.at.isoformat(), read.jump) == (meant, jump)


@pytest.mark.parametrize(
    "typed", ["", "soon", "2026-13-01T00:00", "2026-02-30T10:00", "2026-01-01T10:00Z", "0001-01-01T00:00+14:00",
              "9" * 50, "2026-01-01T10:00+02:00", "2026-01-01T25:00", "\u0662\u0660\u0662\u0666-01-01T10:00"]
)  # fmt: skip
def test_what_is_no_local_time(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        localtimes.read(typed, PARIS)
    assert refused.value.code == "invalid_time"


@pytest.mark.parametrize("typed", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_the_ends_of_the_calendar_are_an_error_at_most(typed: str) -> None:
    for zone in ZONES:
        with contextlib.suppress(Invalid):
            assert localtimes.read(typed, zone).at.tzinfo is UTC


@given(TYPED, st.sampled_from(ZONES))
def test_a_time_means_what_the_clock_shows_then(naive: datetime, zone: str) -> None:
    typed = naive.replace(second=0, microsecond=0)
    read = localtimes.read(f"{typed:%Y-%m-%dT%H:%M}", zone)
    shown = read.at.astimezone(zone_of(zone)).replace(tzinfo=None)
    if read.jump == "gap":
        assert timedelta() < shown - typed <= timedelta(days=1)
    else:
        assert shown == typed


@given(TYPED, st.sampled_from(ZONES))
def test_of_two_times_it_is_the_first(naive: datetime, zone: str) -> None:
    at = naive.replace(second=0, microsecond=0, tzinfo=UTC)
    read = localtimes.read(localtimes.written(at, zone), zone)
    assert read.at <= at
    assert (read.at == at) or read.jump == "twice"
