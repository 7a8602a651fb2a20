"""What a person looks for, read from the address of the page."""

import pytest

from services.gateway.dashboard.messages.searches import Search, place, search_of, wanted
from services.gateway.dashboard.store.filters import Filter, Number
from shared.model.ids import MessageId

GUID = "0a" * 20


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", Filter()),
        (GUID.upper(), Filter(message=MessageId(bytes.fromhex(GUID)))),
        ("06 12 34 56 78", Filter(number=Number("+33612345678", "0612345678"))),
        ("+33 612", Filter(number=Number(None, "33612"))),
        ("4711", Filter(number=Number("4711", "4711"))),
        ('"4711"', Filter(text="4711")),
        ('say "hi"', Filter(text='say "hi"')),
        ("100%_", Filter(text="100%_")),
        ("hé?", Filter(text="hé?")),
    ],
)
def test_one_field_takes_ids_numbers_and_texts(typed: str, meant: Filter) -> None:
    assert wanted(search_of({"q": f" {typed} "}), "FR", "UTC") == (meant, {})


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"q": "ab"}, {"q": "invalid_text"}),
        ({"q": '"'}, {"q": "invalid_text"}),
        ({"q": '""x'}, {}),
        ({"q": "a\0bc"}, {"q": "invalid_text"}),
        ({"q": "9" * 300}, {"q": "invalid_number"}),
        ({"state": "leased"}, {"state": "invalid_state"}),
        ({"phone": "x"}, {"phone": "invalid_device"}),
        ({"since": "x", "until": "2026-01-01T00:00Z"}, {"since": "invalid_time", "until": "invalid_time"}),
        ({"since": "x", "q": "ab"}, {"since": "invalid_time", "q": "invalid_text"}),
    ],
)
def test_what_is_wrong_is_said_of_its_field(fields: dict[str, str], wrong: dict[str, str]) -> None:
    assert wanted(search_of(fields), None, "UTC")[1] == wrong


def test_times_are_by_the_accounts_clock() -> None:
    found, _ = wanted(Search(since="2026-07-01T00:00", until="2026-07-02T00:00"), None, "Asia/Tokyo")
    assert [moment and moment.isoformat() for moment in (found.since, found.until)] == [
        "2026-06-30T15:00:00+00:00",
        "2026-07-01T15:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [(GUID, bytes.fromhex(GUID)), (GUID + "00", bytes.fromhex(GUID + "00")), ("00", b"\0"), ("", None), ("0", None),
     ("zz", None), (GUID + "0000", None), (GUID.upper(), None)],
)  # fmt: skip
def test_a_place_between_two_pages(text: str, found: bytes | None) -> None:
    assert place(text) == found
