"""Ids, parts and numbers: the pure facts that every edge relies on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.model.ids import (
    MessageId,
    MessageIds,
    accepted_at_ms,
    attempt_id,
    first_id_at,
    new_device_id,
    parse_attempt_id,
    parse_message_id,
)
from shared.model.numbers import parse_recipient
from shared.model.storable import is_storable
from shared.model.texts import segments

IDS = MessageIds(b"\x01" * 32)


@given(account=st.integers(0, 2**40), now=st.integers(0, 2**47), count=st.integers(1, 5))
def test_ids_carry_their_time_and_are_recognised_only_for_their_account(account: int, now: int, count: int) -> None:
    ids = IDS.new(account, now, count)
    assert len(set(ids)) == count
    assert sorted(ids) == ids
    for message_id in ids:
        assert accepted_at_ms(message_id) == now
        assert IDS.is_ours(message_id, account)
        assert not IDS.is_ours(message_id, account + 1)
        assert not MessageIds(b"\x02" * 32).is_ours(message_id, account)
        assert parse_message_id(message_id.hex()) == message_id


@given(account=st.integers(0, 2**40), now=st.integers(0, 2**47), count=st.integers(1, 5))
def test_the_ids_of_a_request_can_be_made_again(account: int, now: int, count: int) -> None:
    ids = IDS.new(account, now, count)
    assert IDS.again(account, ids[0], count) == ids
    assert first_id_at(now) <= ids[0] < first_id_at(now + 1)


def test_a_changed_id_is_not_ours() -> None:
    (message_id,) = IDS.new(1, 1_700_000_000_000)
    for place in range(20):
        forged = bytearray(message_id)
        forged[place] ^= 1
        assert not IDS.is_ours(MessageId(bytes(forged)), 1)


@given(number=st.integers(1, 255))
def test_attempt_ids_are_34_characters_and_read_back(number: int) -> None:
    (message_id,) = IDS.new(1, 1_700_000_000_000)
    text = attempt_id(message_id, number)
    assert len(text) == 34
    assert parse_attempt_id(text) == (message_id, number)
    assert parse_attempt_id(text.upper()) == (message_id, number)


@given(st.text(max_size=40))
def test_nonsense_is_no_id(text: str) -> None:
    assert parse_message_id(text) is None or len(text) == 40
    assert parse_attempt_id(text) is None or len(text) == 34


def test_device_ids_are_21_url_safe_characters() -> None:
    ids = {new_device_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(device) == 21 and device.replace("-", "").replace("_", "").isalnum() for device in ids)


@pytest.mark.parametrize(
    ("text", "encoding", "parts"),
    [
        ("", "gsm7", 1),
        ("a" * 160, "gsm7", 1),
        ("a" * 161, "gsm7", 2),
        ("a" * 306, "gsm7", 2),
        ("a" * 307, "gsm7", 3),
        ("€" * 80, "gsm7", 1),
        ("€" * 81, "gsm7", 2),
        ("a" + "€" * 153, "gsm7", 3),
        ("я" * 70, "ucs2", 1),
        ("я" * 71, "ucs2", 2),
        ("😀" * 35, "ucs2", 1),
        ("😀" * 36, "ucs2", 2),
        ("😀" * 67, "ucs2", 3),
    ],
)
def test_parts(text: str, encoding: str, parts: int) -> None:
    assert segments(text) == (encoding, parts)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("+1234567890", "+1234567890"),
        ("001234567890", "+1234567890"),
        (" 32471234567", "+32471234567"),
        ("+32 471-23.45 67", "+32471234567"),
        ("32471234567", "32471234567"),
        ("12345", "12345"),
        ("MyBank", "MyBank"),
    ],
)
def test_recipients_as_people_write_them(raw: str, number: str) -> None:
    assert parse_recipient(raw) == number


@pytest.mark.parametrize("raw", ["", "   ", "+", "+12", "1" * 16, "not a number at all", "+1\0", "٣٤٥٦٧٨٩", "a\ud800"])
def test_what_is_no_recipient(raw: str) -> None:
    with pytest.raises(Invalid):
        parse_recipient(raw)


@pytest.mark.parametrize(
    ("raw", "region", "number"),
    [
        ("0470123456", "BE", "+32470123456"),
        ("0470 12.34-56", "BE", "+32470123456"),
        ("(02) 234 56 78", "BE", "+3222345678"),
        ("0470123456", None, "0470123456"),
        ("0470123456", "XX", "0470123456"),
        ("0612345678", "FR", "+33612345678"),
        ("0612345678", "IT", "+390612345678"),
        ("2125551234", "US", "+12125551234"),
        ("12125551234", "US", "12125551234"),
        ("612345678", "ES", "+34612345678"),
        # International digits stand as they are, also where a national number could look so.
        ("32471234567", "BE", "32471234567"),
        ("32471234567", "DE", "32471234567"),
        ("0032471234567", "BE", "+32471234567"),
        (" 32471234567", "BE", "+32471234567"),
        ("+1234567890", "BE", "+1234567890"),
        # What is too short for a number is a short code.
        ("8080", "BE", "8080"),
        ("0800", "BE", "0800"),
        ("112", "BE", "112"),
        ("MyBank", "BE", "MyBank"),
    ],
)
def test_national_numbers_are_read_by_their_region(raw: str, region: str | None, number: str) -> None:
    assert parse_recipient(raw, region) == number


@given(st.text(), st.sampled_from([None, "BE", "US", "RU", "XX"]))
def test_any_recipient_is_read_or_refused(raw: str, region: str | None) -> None:
    try:
        number = parse_recipient(raw, region)
    except Invalid:
        return
    assert is_storable(number)


def test_what_can_be_stored() -> None:
    assert is_storable("grüße 😀")
    assert not is_storable("a\0b")
    assert not is_storable("\ud800")
