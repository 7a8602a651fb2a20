"""What a credential in memory is worth, and which names and scopes are taken."""

import pytest

from services.auth.keys import (
    SCOPES,
    Credential,
    checked_name,
    checked_scopes,
    checked_time_zone,
    new_id,
    snapshot,
)
from shared.errors import Invalid


def credential(expires_at: float | None = None) -> Credential:
    return Credential("enrolment_key", b"d", 7, "enr_1", (), expires_at, True, "Europe/Paris", "FR")


def test_a_credential_counts_until_it_expires() -> None:
    known = snapshot(3, [credential(expires_at=100.0)])
    assert known.verdict("enrolment_key", b"d", now=99.9).account == 7
    assert known.verdict("enrolment_key", b"d", now=100.0).account is None


def test_a_verdict_tells_the_epoch_also_when_nobody_is_known() -> None:
    verdict = snapshot(3, []).verdict("api_key", b"d", now=0.0)
    assert (verdict.account, verdict.epoch) == (None, 3)


def test_a_verdict_carries_what_the_edge_needs() -> None:
    verdict = snapshot(3, [credential()]).verdict("enrolment_key", b"d", now=0.0)
    assert (verdict.subject, verdict.active, verdict.time_zone, verdict.region) == (
        "enr_1",
        True,
        "Europe/Paris",
        "FR",
    )


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
