"""Signs and opens the one kind of JWT that exists here (RFC 9068, Ed25519), so that no other kind is taken for it."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OKPKey
from joserfc.jws import JWSRegistry

from shared.errors import SmsFleetError

ALGORITHM: Final = "EdDSA"
TYPE: Final = "at+jwt"

MAX_CHARS: Final = 4096
"""A longer token is not looked at."""

_MEANT = frozenset({"alg", "kid", "typ"})


class Untrusted(SmsFleetError):
    """The token is not one of ours, or not any more."""

    code = "untrusted"


class UnknownKey(Untrusted):
    """The token names a key that is not known here."""

    def __init__(self, kid: str) -> None:
        """`kid` is what the token says, whatever it says."""
        super().__init__()
        self.kid = kid


class _Ed25519(type(JWSRegistry.algorithms[ALGORITHM])):  # type: ignore[misc]
    # RFC 9864 would rather have the algorithm called Ed25519; RFC 9068's readers know EdDSA.
    security_warning = None


class _OneAlgorithm(JWSRegistry):
    """Knows one algorithm: neither `none` nor a public key that passes for a shared secret (RFC 8725, 3.1)."""

    algorithms = {ALGORITHM: _Ed25519()}  # noqa: RUF012


_REGISTRY = _OneAlgorithm(algorithms=[ALGORITHM])


def new_private_key() -> bytes:
    """The 32 bytes of a new Ed25519 private key."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_of(private: bytes) -> bytes:
    """The 32 bytes of the public key that belongs to these 32."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def signing_key(private: bytes) -> OKPKey:
    """A key that signs, from 32 bytes."""
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(private))


def verifying_key(public: bytes) -> OKPKey:
    """A key that verifies, from 32 bytes. Raises ValueError for anything that is no such key."""
    return OKPKey.import_key(Ed25519PublicKey.from_public_bytes(public))


def signed(claims: Mapping[str, Any], kid: str, key: OKPKey) -> str:
    """The token with these claims."""
    return jwt.encode({"alg": ALGORITHM, "typ": TYPE, "kid": kid}, dict(claims), key, registry=_REGISTRY)


def opened(token: str, keys: Mapping[str, OKPKey]) -> dict[str, Any]:
    """The claims of a token that one of `keys` (by kid) has signed; nothing is said about the claims themselves.

    Raises UnknownKey when it names another key, Untrusted for everything else that is wrong with it.
    """

    def named(guest: GuestProtocol) -> OKPKey:
        header = guest.headers()
        if header.get("typ") != TYPE or not header.keys() <= _MEANT:
            raise Untrusted
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise Untrusted
        if (key := keys.get(kid)) is None:
            raise UnknownKey(kid)
        return key

    if len(token) > MAX_CHARS or not token.isascii():
        raise Untrusted
    try:
        return jwt.decode(token, named, registry=_REGISTRY).claims
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Untrusted from error
