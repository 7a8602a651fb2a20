"""What a client can ask for: a token (RFC 6749, 4.4), what a token is worth (RFC 7662), its end (RFC 7009)."""

import re
from typing import Final

import msgspec

from services.gateway.bearer import is_token
from services.gateway.oauth.errors import OAuthError
from services.gateway.oauth.forms import Client, Form, required
from shared.bus.rpc import RpcClient
from shared.contracts.registry import AUTH_TOKEN_INTROSPECT, AUTH_TOKEN_ISSUE, AUTH_TOKEN_REVOKE
from shared.contracts.rpc.auth import IntrospectToken, IssueToken, RevokeToken
from shared.security.jwt import MAX_CHARS

GRANT_TYPE: Final = "client_credentials"
TIMEOUT_S: Final = 5.0

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
"""RFC 6749, 3.3."""

MAX_SCOPE_CHARS: Final = 1000


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6749, 5.1. `expires_in` is in seconds."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105
    expires_in: int
    scope: str


class InactiveToken(msgspec.Struct, frozen=True):
    """RFC 7662, 2.2: nothing more is said of it."""

    active: bool = False


class ActiveToken(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7662, 2.2. Times are Unix seconds."""

    active: bool = True
    scope: str
    client_id: str
    token_type: str = "Bearer"  # noqa: S105
    sub: str
    aud: str
    iss: str
    jti: str
    iat: int
    exp: int


class Grants:
    """Asks auth. Every method raises OAuthError, Unavailable, or what auth refuses with."""

    def __init__(self, rpc: RpcClient) -> None:
        """Asks through this client."""
        self._rpc = rpc

    async def issue(self, form: Form, client: Client, address: str) -> TokenAnswer:
        """A token with the scopes that were asked for, or all that the client has."""
        grant_type = required(form, "grant_type")
        if grant_type != GRANT_TYPE:
            raise OAuthError("unsupported_grant_type", f"The only grant type here is {GRANT_TYPE}.")
        scope = form.get("scope")
        if scope is not None and (len(scope) > MAX_SCOPE_CHARS or not _SCOPE.fullmatch(scope)):
            raise OAuthError("invalid_scope", "Scopes are words with single blanks between them.")
        question = IssueToken(client_id=client.id, secret=client.secret, scope=scope, address=address)
        issued = await self._rpc.ask(AUTH_TOKEN_ISSUE, question, TIMEOUT_S)
        return TokenAnswer(access_token=issued.access_token, expires_in=issued.expires_in, scope=issued.scope)

    async def introspect(self, form: Form, client: Client, _: str) -> ActiveToken | InactiveToken:
        """What the token is worth to its own account; to anybody else it is not active."""
        question = IntrospectToken(client_id=client.id, secret=client.secret, token=_token(form))
        facts = await self._rpc.ask(AUTH_TOKEN_INTROSPECT, question, TIMEOUT_S)
        if not facts.active:
            return InactiveToken()
        return msgspec.convert(msgspec.structs.asdict(facts) | {"token_type": "Bearer"}, ActiveToken)

    async def revoke(self, form: Form, client: Client, _: str) -> None:
        """Ends the token if it is this client's; any other is passed over (RFC 7009, 2.2)."""
        question = RevokeToken(client_id=client.id, secret=client.secret, token=_token(form))
        await self._rpc.ask(AUTH_TOKEN_REVOKE, question, TIMEOUT_S)


def _token(form: Form) -> str:
    """The token; what is far from being one goes to auth as such. Raises OAuthError (`invalid_request`)."""
    token = required(form, "token")
    return token if len(token) <= MAX_CHARS and is_token(token) else "none"
