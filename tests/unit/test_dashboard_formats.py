"""Times, numbers, spans, hostile texts and charts, as pages write them."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.dashboard.frame.charts import Bar, columns, meter
from services.gateway.dashboard.frame.formats import moment, number, span, visible

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("at", "zone", "language", "short"),
    [
        (NOON - 60, "UTC", "en", "11:59"),
        (NOON - 60, "Europe/Paris", "fr", "12:59"),
        (NOON - 86_400, "UTC", "en", "21 Nov, 12:00"),
        (NOON - 86_400, "UTC", "fr", "21 nov., 12:00"),
        (NOON - 12.5 * 3600, "Europe/Paris", "fr", "00:30"),
        (NOON - 400 * 86_400, "UTC", "en", "18 Oct 2025"),
        (NOON, "No/Such_Zone", "en", "12:00"),
    ],
)
def test_a_moment_is_short_by_the_clock_of_the_account(at: float, zone: str, language: str, short: str) -> None:
    assert moment(at, zone, NOON, language).short == short


def test_a_moment_says_all_of_itself_on_a_closer_look() -> None:
    told = moment(NOON, "Europe/Paris", NOON, "en")
    assert told.full == "22 Nov 2026, 13:00:00 CET"
    assert told.iso == "2026-11-22T13:00:00+01:00"


@pytest.mark.parametrize(
    ("value", "language", "written"),
    [(999, "en", "999"), (1_234_567, "en", "1,234,567"), (1234, "fr", "1\u202f234"), (1234.56, "fr", "1\u202f234,6")],
)
def test_a_number_has_its_thousands(value: float, language: str, written: str) -> None:
    assert number(value, language) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0 s"), (-5, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (86_400 * 2 + 3700, "2 d 1 h")],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, written: str) -> None:
    assert span(seconds, "en") == written


def test_days_have_a_french_name() -> None:
    assert span(2 * 86_400, "fr") == "2 j"


@given(st.text())
def test_what_reorders_or_hides_is_made_visible(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", shown)


def test_plain_text_and_emoji_stay_as_they_are() -> None:
    text = "Grüße 👩\u200d👩\u200d👧 שלום\nline\ttab"
    assert visible(text) == text
    assert visible("a\u202eb\x00") == "a[U+202E]b\u2400"


def test_columns_are_svg_that_tells_its_numbers() -> None:
    drawn = ElementTree.fromstring(
        columns([Bar("<11:00>", [("sent", 3, "envoyés"), ("failed", 1, "<échoués>")]), Bar("12:00", [])], 'A "day"')
    )
    assert drawn.get("aria-label") == 'A "day"'
    assert [title.text for title in drawn.iter("title")] == ["<11:00>: 3 envoyés, 1 <échoués>", "12:00: 0"]
    tops = [float(rect.get("y", "")) for rect in drawn.iter("rect") if rect.get("class") != "rail"]
    assert tops == sorted(tops, reverse=True)
    assert min(tops) >= 0
    assert not [each for each in drawn.iter() if each.get("style")]


@pytest.mark.parametrize(("used", "kind"), [(0, "low"), (79, "low"), (80, "high"), (100, "full"), (130, "full")])
def test_a_meter_says_when_little_is_left(used: int, kind: str) -> None:
    drawn = ElementTree.fromstring(meter(used, 100, "Today"))
    assert drawn.get("class") == f"meter {kind}"
    assert float(drawn[1].get("width", "")) == min(used, 100)
