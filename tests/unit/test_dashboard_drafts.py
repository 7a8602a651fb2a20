"""The form of a text: each field into its type, each fault beside its field."""

import pytest

from services.gateway.dashboard.messages.drafts import (
    LIVES_S,
    MAX_SHOWN_CHARS,
    Draft,
    Meant,
    draft_of,
    meant,
    unusual,
)

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
PHONE = "p" * 21


def read(region: str | None = None, **fields: str) -> Meant:
    return meant(Draft(**({"to": "+33612345678", "text": "hello"} | fields)), region, "Europe/Paris", NOW)


def test_a_plain_form() -> None:
    found = read()
    assert found == Meant(["+33612345678"], 0, None, None, None, "", 0, None, {})


@pytest.mark.parametrize(
    "typed",
    [
        "+33612345678,+33698765432",
        "+33612345678; +33698765432;",
        "+33612345678\n\n+33698765432\n",
        "  +33 6 12 34 56 78 ,\r\n 0033 6.98.76.54.32",
    ],
)
def test_several_recipients(typed: str) -> None:
    assert read(to=typed).recipients == ["+33612345678", "+33698765432"]


def test_national_numbers_are_of_the_accounts_region() -> None:
    assert read("FR", to="06 12 34 56 78").recipients == ["+33612345678"]
    assert read(to="06 12 34 56 78").recipients == ["0612345678"]


def test_who_stands_there_twice_gets_it_once() -> None:
    found = read("FR", to="+33612345678, 0612345678, +33698765432, +33612345678")
    assert (found.recipients, found.left_out) == (["+33612345678", "+33698765432"], 2)


def test_whoever_is_no_number_is_named_harmlessly() -> None:
    found = read(to=f"+33612345678, <b>\u202e{'x' * 500}")
    fault = found.faults["to"]
    assert fault.code == "invalid_recipient"
    assert fault.values == {"piece": f"\u2068<b>[U+202E]{'x' * (MAX_SHOWN_CHARS - 4)}\u2069"}


@pytest.mark.parametrize(("typed", "code"), [("", "missing_recipients"), (" ,;\n", "missing_recipients"),
                                             (",".join(map(str, range(1001))), "too_many_recipients")])  # fmt: skip
def test_nobody_and_too_many(typed: str, code: str) -> None:
    assert read(to=typed).faults["to"].code == code


@pytest.mark.parametrize(
    ("typed", "device", "sim"),
    [("", None, None), (PHONE, PHONE, None), (f"{PHONE}:2", PHONE, 2), (":1", None, 1)],
)
def test_who_sends_it(typed: str, device: str | None, sim: int | None) -> None:
    found = read(by=typed)
    assert (found.device, found.sim, found.faults) == (device, sim, {})


@pytest.mark.parametrize("typed", ["p", f"{PHONE}:0", f"{PHONE}:", f"{PHONE}:10", "<script>", f"{PHONE}\n"])
def test_who_is_no_phone(typed: str) -> None:
    assert read(by=typed).faults["by"].code == "no_device"


def test_a_schedule_is_by_the_accounts_clock() -> None:
    found = read(at="2026-03-29T02:30")
    assert (found.scheduled_at, found.jump) == (1_774_747_800, "gap")


@pytest.mark.parametrize(
    ("typed", "code"),
    [("tomorrow", "invalid_time"), ("2025-12-31T10:00", "past_time"), ("1969-01-01T00:00", "past_time")],
)
def test_a_schedule_that_cannot_be(typed: str, code: str) -> None:
    assert read(at=typed).faults["at"].code == code


def test_a_minute_that_has_just_begun_is_now() -> None:
    assert read(at="2026-01-01T00:59").faults == {}


def test_priority_and_validity_are_what_is_offered() -> None:
    assert read(priority="urgent", valid=str(LIVES_S[0]))[-3:-1] == (100, LIVES_S[0])
    assert read(priority="127", valid="17")[-3:-1] == (0, None)


def test_lines_end_as_texts_have_it() -> None:
    assert draft_of({"text": "\r\na\r\nb\n", "to": "1", "csrf": "x"}) == Draft(to="1", text="\na\nb\n")
    assert draft_of({"priority": "nonsense"}).priority == "normal"


def test_what_the_gsm_alphabet_lacks() -> None:
    assert unusual("hello ç ç 😀 €") == ["ç", "😀"]
    assert unusual("αβγδεζηθ") == list("αβγδε")
    assert unusual("plain") == []
