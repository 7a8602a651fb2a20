"""Which names, scopes and lifetimes are taken."""

import datetime as dt

import pytest

from services.auth.keys import (
    MAX_LIFE_S,
    MAX_OVERLAP_S,
    SCOPES,
    checked_life,
    checked_name,
    checked_overlap,
    checked_quiet,
    checked_scopes,
    checked_time_zone,
    new_id,
    quiet_ends,
)
from shared.errors import Invalid


def test_ids_are_short_and_new() -> None:
    ids = {new_id("key") for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == len("key_") + 12 and each[4:].isalnum() for each in ids)


def test_names_lose_their_blanks() -> None:
    assert checked_name("  Büro 3 ") == "Büro 3"


@pytest.mark.parametrize("name", ["", "\t", "x" * 65, "a\0b", "a\u202eb", "\ud800"])
def test_names_that_nobody_could_read_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        checked_name(name)


def test_no_scopes_are_all_scopes() -> None:
    assert checked_scopes([]) == list(SCOPES)
    assert checked_scopes(["sms:read", "sms:send", "sms:read"]) == ["sms:send", "sms:read"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris"])
def test_time_zones_are_known_by_name(zone: str) -> None:
    assert checked_time_zone(zone) == zone


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime"])
def test_other_time_zones_are_refused(zone: str) -> None:
    with pytest.raises(Invalid):
        checked_time_zone(zone)


def test_lifetimes_have_bounds() -> None:
    assert [checked_life(each) for each in (None, 60, MAX_LIFE_S)] == [None, 60, MAX_LIFE_S]
    for wrong in (-1, 0, 59, MAX_LIFE_S + 1):
        with pytest.raises(Invalid):
            checked_life(wrong)
    assert [checked_overlap(each) for each in (0, MAX_OVERLAP_S)] == [0, MAX_OVERLAP_S]
    for wrong in (-1, MAX_OVERLAP_S + 1):
        with pytest.raises(Invalid):
            checked_overlap(wrong)


def test_quiet_hours_are_two_times_of_day() -> None:
    assert checked_quiet(" 22:00-07:30 ") == "22:00-07:30"
    assert quiet_ends("22:00-07:30") == (dt.time(22), dt.time(7, 30))
    assert quiet_ends("") == (None, None)


@pytest.mark.parametrize("hours", ["22:00", "22-7", "25:00-07:00", "22:00-07:00-08:00", "night", "-"])
def test_other_quiet_hours_are_refused(hours: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_quiet(hours)
    assert refused.value.code == "invalid_quiet"
