"""Access tokens: what they claim and what makes one believed (RFC 9068). Pure."""

import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc.jwk import OKPKey

from services.auth.keys import SCOPES
from services.auth.signing import SigningKey
from shared.errors import Invalid, Startup
from shared.security.jwt import Untrusted, opened, signed

LEEWAY_S: Final = 60
"""How far the clocks of those who issue and those who verify may differ, in seconds."""


@dataclass(frozen=True)
class Claims:
    """Every claim of a token (RFC 9068, 2.2); times in Unix seconds. No user is involved: `sub` is the client."""

    iss: str
    aud: str
    sub: str
    client_id: str
    jti: str
    scope: str
    iat: int
    exp: int


def claims_of(issuer: str, client_id: str, scopes: Sequence[str], now: float, ttl_s: int) -> Claims:
    """What a token issued at `now` to this client says. Its audience is the issuer: they are one address here."""
    issued = int(now)
    return Claims(
        iss=issuer,
        aud=issuer,
        sub=client_id,
        client_id=client_id,
        jti=secrets.token_urlsafe(16),
        scope=" ".join(scopes),
        iat=issued,
        exp=issued + ttl_s,
    )


def issue(claims: Claims, key: SigningKey) -> str:
    """The token."""
    return signed(asdict(claims), key.kid, key.signing)


def read(token: str, keys: Mapping[str, OKPKey], issuer: str, now: float) -> Claims:
    """The claims of a token that is ours and lives at `now` (RFC 9068, 4). Raises Untrusted."""
    try:
        claims = msgspec.convert(opened(token, keys), Claims)
    except msgspec.ValidationError as error:
        raise Untrusted from error
    ours = claims.iss == claims.aud == issuer and claims.sub == claims.client_id
    if not ours or claims.iat > now + LEEWAY_S or claims.exp + LEEWAY_S <= now:
        raise Untrusted
    return claims


def granted(asked: str | None, allowed: Sequence[str]) -> list[str]:
    """The scopes to put into a token: all that are allowed when none is asked for (RFC 6749, 3.3).

    Raises Invalid (`invalid_scope`) when one is asked for that is not allowed.
    """
    wanted = (asked or "").split()
    for scope in wanted:
        if scope not in allowed:
            raise Invalid("The client may not have every scope that it asks for.", code="invalid_scope")
    return [scope for scope in SCOPES if scope in (wanted or allowed)]


def facts(claims: Claims, allowed: Sequence[str]) -> dict[str, Any]:
    """What introspection tells of a living token (RFC 7662, 2.2), with the scopes that its client still has."""
    still = " ".join(scope for scope in claims.scope.split() if scope in allowed)
    return {**asdict(claims), "scope": still}


def checked_issuer(url: str) -> str:
    """The issuer: an https URL, or http on this machine, without query and fragment (RFC 8414, 2). Raises Startup."""
    plain = url.rstrip("/")
    try:
        parts = urlsplit(plain)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise Startup(f"SMSFLEET_PUBLIC_URL is {url!r}, which is no URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine or parts.username is not None:
        raise Startup(f"SMSFLEET_PUBLIC_URL is {url!r}: write it as https://sms.example.org")
    if "?" in plain or "#" in plain:
        raise Startup("SMSFLEET_PUBLIC_URL must have no query and no fragment.")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise Startup(f"SMSFLEET_PUBLIC_URL is {plain}: tokens and keys would travel in the clear; use https.")
    return plain


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # What listens everywhere and was given no name of its own is known by the address that it listens on.
    return address.is_loopback or address.is_unspecified
