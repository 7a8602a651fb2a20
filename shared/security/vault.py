"""Secrets at rest: envelope encryption under the installation's secret, so that a copied database reveals none."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import SmsFleetError
from shared.security.secrets import derive_key

NONCE_BYTES: Final = 12
DATA_KEY_BYTES: Final = 32
_WRAPPED_BYTES: Final = NONCE_BYTES + DATA_KEY_BYTES + 16


class Sealed(NamedTuple):
    """What a row keeps: the id of the key-encryption key, and the wrapped data key followed by the ciphertext."""

    key_id: str
    box: bytes


class Unopenable(SmsFleetError):
    """The secret was sealed under another key, for another place, or was changed."""

    code = "unopenable"


class Vault:
    """Seals with the newest key, opens with any it was given."""

    def __init__(self, secret: str, older: Sequence[str] = ()) -> None:
        """`secret` is the installation's (SMSFLEET_SECRET_KEY); `older` ones open what they once sealed."""
        keys = [derive_key(each, "vault") for each in (secret, *older)]
        self._keys = {_id_of(key): AESGCM(key) for key in keys}
        self._newest = _id_of(keys[0])

    @property
    def key_id(self) -> str:
        """The id of the key that seals now: rows with another one want to be sealed anew."""
        return self._newest

    def seal(self, plain: bytes, about: str) -> Sealed:
        """Encrypts under a data key of its own. `about` names the row and column; another one cannot open it."""
        data_key = secrets.token_bytes(DATA_KEY_BYTES)
        bound = about.encode()
        wrapped = _encrypt(self._keys[self._newest], data_key, bound)
        return Sealed(self._newest, wrapped + _encrypt(AESGCM(data_key), plain, bound))

    def open(self, sealed: Sealed, about: str) -> bytes:
        """The plain bytes. Raises Unopenable."""
        wrapping, bound = self._keys.get(sealed.key_id), about.encode()
        if wrapping is None:
            raise Unopenable(f"No key {sealed.key_id} is known here.")
        try:
            data_key = _decrypt(wrapping, sealed.box[:_WRAPPED_BYTES], bound)
            return _decrypt(AESGCM(data_key), sealed.box[_WRAPPED_BYTES:], bound)
        except (InvalidTag, ValueError) as error:
            raise Unopenable from error


def _encrypt(cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _decrypt(cipher: AESGCM, box: bytes, bound: bytes) -> bytes:
    return cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], bound)


def _id_of(key: bytes) -> str:
    """16 hex characters that tell keys apart and nothing about them."""
    return hashlib.blake2b(key, digest_size=8, person=b"smsfleet-key-id").hexdigest()
