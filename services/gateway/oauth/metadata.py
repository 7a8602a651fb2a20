"""The two documents that programs find everything by: the server's metadata (RFC 8414) and its keys (RFC 7517)."""

import base64
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from services.gateway.asgi import JSON_TYPE, Headers, Receive, Reply, Scope, Send, respond
from services.gateway.oauth.errors import ErrorBody
from services.gateway.oauth.grants import GRANT_TYPE
from services.gateway.scopes import SCOPES
from services.gateway.trust import Trust
from shared.contracts.rpc.auth import VerifyingKey
from shared.errors import Unavailable

WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
JWKS: Final = "/.well-known/jwks.json"
TOKEN: Final = "/oauth2/token"  # noqa: S105
INTROSPECT: Final = "/oauth2/introspect"
REVOKE: Final = "/oauth2/revoke"

MAX_AGE_S: Final = 300
"""How long a document may be kept: less than the time for which a new key is published before it signs."""

_METHODS: Final = ("client_secret_basic", "client_secret_post")

_encode = msgspec.json.Encoder().encode


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8414, 2. There is no authorization endpoint, so the response types that it demands are `none`."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    scopes_supported: Sequence[str] = SCOPES
    response_types_supported: Sequence[str] = ("none",)
    grant_types_supported: Sequence[str] = (GRANT_TYPE,)
    token_endpoint_auth_methods_supported: Sequence[str] = _METHODS
    service_documentation: str
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: Sequence[str] = _METHODS
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: Sequence[str] = _METHODS


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """An Ed25519 key as RFC 8037, 2 writes it."""

    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = "EdDSA"
    kid: str
    x: str


class KeySet(msgspec.Struct, frozen=True):
    """RFC 7517, 5."""

    keys: list[PublicKey]


def metadata(issuer: str) -> Metadata:
    """The document of the server with this address (without a slash at its end)."""
    return Metadata(
        issuer=issuer,
        token_endpoint=issuer + TOKEN,
        jwks_uri=issuer + JWKS,
        service_documentation=f"{issuer}/docs",
        revocation_endpoint=issuer + REVOKE,
        introspection_endpoint=issuer + INTROSPECT,
    )


def key_set(keys: Sequence[VerifyingKey]) -> KeySet:
    """The keys as others read them."""
    return KeySet(
        [PublicKey(kid=key.kid, x=base64.urlsafe_b64encode(key.public).rstrip(b"=").decode()) for key in keys]
    )


def well_known_paths(issuer: str) -> list[str]:
    """Where the metadata is served: an issuer's own path comes behind the well-known one (RFC 8414, 3.1)."""
    path = urlsplit(issuer).path.rstrip("/")
    return [WELL_KNOWN, WELL_KNOWN + path] if path else [WELL_KNOWN]


class PublicDocument:
    """Serves one of them with GET."""

    def __init__(self, issuer: str, trust: Trust | None = None) -> None:
        """The keys that `trust` knows, or without it the metadata."""
        self._issuer = issuer
        self._trust = trust

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """The ASGI handler."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["method"] not in ("GET", "HEAD"):
            told = ErrorBody("invalid_request", "Only GET is served here.")
            reply = _framed(405, told, [(b"allow", b"GET, HEAD")])
        else:
            reply = await self._document()
        await respond(send, reply._replace(body=b"") if scope["method"] == "HEAD" else reply)

    async def _document(self) -> Reply:
        kept = [(b"cache-control", f"public, max-age={MAX_AGE_S}".encode())]
        if self._trust is None:
            return _framed(200, metadata(self._issuer), kept)
        try:
            await self._trust.settle()
        except Unavailable as error:
            retry = [(b"retry-after", str(error.retry_after_s).encode())]
            return _framed(503, ErrorBody("temporarily_unavailable", str(error)), retry)
        return _framed(200, key_set(self._trust.published), kept)


def _framed(status: int, told: msgspec.Struct, headers: Headers) -> Reply:
    body = _encode(told)
    return Reply(status, [JSON_TYPE, (b"content-length", str(len(body)).encode()), *headers], body)
