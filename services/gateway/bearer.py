"""Which access tokens are valid here: the rules of RFC 9068 (section 4) beside the signature's own. Pure."""

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
from joserfc.jwk import OKPKey

from services.gateway.errors import BadToken
from shared.security.jwt import UnknownKey, Untrusted, opened

LEEWAY_S: Final = 60
"""How far this machine's clock may be off the issuer's."""

Keys = Mapping[str, OKPKey]
"""Auth's public keys by their id."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Claims(msgspec.Struct, frozen=True):
    """RFC 9068, 2.2. Times are Unix seconds."""

    iss: str
    aud: str | list[str]
    sub: _Text
    client_id: _Text
    jti: _Text
    exp: int
    iat: int
    scope: str = ""
    nbf: int | None = None


class Token(NamedTuple):
    """What a valid token says. `ends_at`: from when on it is refused (Unix seconds, leeway included)."""

    jti: str
    client_id: str
    scopes: frozenset[str]
    ends_at: int


def is_token(bearer: str) -> bool:
    """Whether a Bearer value is meant as a JWT: those have dots, API keys have none."""
    return "." in bearer


def read(token: str, keys: Keys, issuer: str, now: float) -> Token:
    """What the token says, which one of the keys must have signed and this issuer made for itself.

    `now`: Unix seconds. Raises UnknownKey when it names another key, BadToken for everything else that is wrong.
    """
    try:
        claims = msgspec.convert(opened(token, keys), _Claims)
    except UnknownKey:
        raise
    except (Untrusted, msgspec.ValidationError) as error:
        raise BadToken from error
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if not issuer or claims.iss != issuer or issuer not in audience:
        raise BadToken
    if claims.exp + LEEWAY_S <= now or max(claims.iat, claims.nbf or 0) - LEEWAY_S > now:
        raise BadToken("The Bearer token has expired or is not valid yet.")
    return Token(claims.jti, claims.client_id, frozenset(claims.scope.split()), claims.exp + LEEWAY_S)
