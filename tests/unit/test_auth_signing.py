"""When signing keys are made, sign and are kept, by a clock that the tests turn."""

from services.auth.signing import LEEWAY_S, Keyring, Schedule, SealedKey, new_key
from shared.security.vault import Vault

DAY = 86_400.0
SCHEDULE = Schedule(period_s=30 * DAY, token_ttl_s=3600.0)
VAULT = Vault("secret")


def key(kid: str, signs_from: float, vault: Vault = VAULT) -> SealedKey:
    return SealedKey(kid, new_key(vault, kid), signs_from)


def keyring(*keys: SealedKey) -> Keyring:
    ring = Keyring(VAULT, SCHEDULE)
    ring.take(keys)
    return ring


def kids(ring: Keyring, now: float) -> list[str]:
    return [each.kid for each in ring.published(now)]


def signer(ring: Keyring, now: float) -> str | None:
    found = ring.signer(now)
    return found.kid if found else None


def test_the_first_key_signs_at_once() -> None:
    assert SCHEDULE.next_from(None, now=500.0) == 500.0


def test_the_next_key_is_made_one_token_lifetime_ahead() -> None:
    begins = 30 * DAY
    assert SCHEDULE.next_from(0.0, now=begins - 3601) is None
    assert SCHEDULE.next_from(0.0, now=begins - 3600) == begins


def test_short_lived_tokens_leave_verifiers_ten_minutes() -> None:
    assert Schedule(30 * DAY, token_ttl_s=60.0).lead_s == 600.0


def test_after_a_long_stop_the_next_key_is_published_before_it_signs_all_the_same() -> None:
    assert SCHEDULE.next_from(0.0, now=90 * DAY) == 90 * DAY + 3600.0


def test_a_key_is_published_before_it_signs_and_after() -> None:
    ring = keyring(key("one", 0.0), key("two", 1000.0))
    assert (signer(ring, 999.0), kids(ring, 999.0)) == ("one", ["one", "two"])
    assert (signer(ring, 1000.0), kids(ring, 1000.0)) == ("two", ["one", "two"])
    last = 1000.0 + 3600.0 + LEEWAY_S
    assert kids(ring, last) == ["one", "two"]
    assert kids(ring, last + 1) == ["two"]
    assert [each.state for each in ring.infos(999.0)] == ["signs", "waits"]
    assert [each.state for each in ring.infos(1000.0)] == ["kept", "signs"]


def test_the_only_key_signs_although_another_clock_is_behind() -> None:
    assert signer(keyring(key("one", 100.0)), 99.0) == "one"
    assert signer(keyring(), 99.0) is None


def test_a_withdrawn_key_is_gone() -> None:
    ring = keyring(key("one", 0.0))
    ring.take([SealedKey("one", VAULT.seal(b"", "x"), 0.0, withdrawn=True)])
    assert kids(ring, 1.0) == []


def test_a_key_that_cannot_be_opened_is_neither_used_nor_published() -> None:
    ring = keyring(key("one", 0.0, Vault("another secret")))
    assert (signer(ring, 1.0), kids(ring, 1.0), ring.unopened) == (None, [], {"one"})


def test_a_key_moved_to_another_row_cannot_be_opened() -> None:
    ring = keyring(SealedKey("two", new_key(VAULT, "one"), 0.0))
    assert ring.unopened == {"two"}


def test_a_key_that_was_opened_stays_when_it_is_sealed_under_a_secret_not_known_here() -> None:
    ring = keyring(key("one", 0.0))
    ring.take([key("one", 0.0, Vault("another secret"))])
    assert signer(ring, 1.0) == "one"
