"""Sealed secrets open where they belong, and nowhere else."""

import pytest

from shared.security.vault import Sealed, Unopenable, Vault


def test_what_was_sealed_opens_again() -> None:
    vault = Vault("a" * 64)
    sealed = vault.seal(b"whsec", "endpoints.secret ep_1")
    assert b"whsec" not in sealed.box
    assert vault.open(sealed, "endpoints.secret ep_1") == b"whsec"


def test_each_sealing_differs() -> None:
    vault = Vault("a" * 64)
    assert vault.seal(b"x", "t").box != vault.seal(b"x", "t").box


def test_another_place_cannot_open_it() -> None:
    vault = Vault("a" * 64)
    with pytest.raises(Unopenable):
        vault.open(vault.seal(b"whsec", "endpoints.secret ep_1"), "endpoints.secret ep_2")


@pytest.mark.parametrize("at", [0, 20, 59, 60, 75, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    vault = Vault("a" * 64)
    sealed = vault.seal(b"a secret of some length", "t")
    box = bytearray(sealed.box)
    box[at] ^= 1
    with pytest.raises(Unopenable):
        vault.open(Sealed(sealed.key_id, bytes(box)), "t")


@pytest.mark.parametrize("box", [b"", b"short", bytes(60)])
def test_a_cut_box_is_refused(box: bytes) -> None:
    vault = Vault("a" * 64)
    with pytest.raises(Unopenable):
        vault.open(Sealed(vault.key_id, box), "t")


def test_an_older_key_still_opens_and_no_longer_seals() -> None:
    old = Vault("old")
    sealed = old.seal(b"x", "t")
    rotated = Vault("new", ["old"])
    assert rotated.open(sealed, "t") == b"x"
    assert rotated.seal(b"x", "t").key_id == rotated.key_id != old.key_id


def test_an_unknown_key_is_named() -> None:
    sealed = Vault("old").seal(b"x", "t")
    with pytest.raises(Unopenable, match=sealed.key_id):
        Vault("new").open(sealed, "t")
