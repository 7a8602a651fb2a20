"""The part of auth that issues access tokens, played over NATS beside the Auth of tests/support/gateway.py."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from nats.aio.client import Client
from nats.aio.subscription import Subscription

from shared.bus.connection import settled
from shared.contracts import registry
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.auth import (
    AskTrust,
    IntrospectToken,
    IssueToken,
    RevokedToken,
    RevokeToken,
    TokenFacts,
    TokenIssued,
    Trust,
    Verdict,
    VerifyingKey,
)
from shared.errors import Conflict, Invalid
from shared.model.ids import new_device_id
from shared.runtime.settings import ServiceSettings
from shared.security.jwt import Untrusted, new_private_key, opened, public_of, signed, signing_key, verifying_key
from shared.security.secrets import digest
from tests.support.gateway import ACCOUNT, SCOPES, Auth, Gateway, answering, running_gateway

CLIENT, SECRET = "c1" * 16, "5e" * 32
OTHER_CLIENT, OTHER_SECRET = "c2" * 16, "6f" * 32
ISSUER = "http://127.0.0.1:8080"
KID = "key-1"


class Issuer:
    """Knows two clients of one account and one signing key."""

    def __init__(self, client: Client, auth: Auth) -> None:
        self._client = client
        self._auth = auth
        self._answers: list[Subscription] = []
        self.keys: dict[str, bytes] = {KID: new_private_key()}
        self.clients = {CLIENT: SECRET, OTHER_CLIENT: OTHER_SECRET}
        self.suspended = False
        self.revoked: list[RevokedToken] = []
        self.asked: list[Any] = []
        for each in self.clients:
            auth.accounts[digest(each)] = Verdict(epoch=0, account=ACCOUNT, subject=each, scopes=SCOPES)

    async def start(self) -> None:
        self._answers = [
            await answering(self._client, contract, self._noted(answer))
            for contract, answer in (
                (registry.AUTH_TRUST, self._trust),
                (registry.AUTH_TOKEN_ISSUE, self._issue),
                (registry.AUTH_TOKEN_INTROSPECT, self._introspect),
                (registry.AUTH_TOKEN_REVOKE, self._revoke),
            )
        ]

    async def leave(self) -> None:
        """No responder is left."""
        answers, self._answers = self._answers, []
        for subscription in answers:
            await subscription.unsubscribe()
        await settled(self._client)

    def of(self, kind: type) -> list[Any]:
        return [ask for ask in self.asked if isinstance(ask, kind)]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a good token; None takes one away."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": CLIENT,
            "client_id": CLIENT,
            "jti": new_device_id(),
            "scope": " ".join(SCOPES),
            "iat": now,
            "exp": now + 3600,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, kid: str = KID, **changes: Any) -> str:
        """A token with these claims, signed by this key."""
        return signed(self.claims(**changes), kid, signing_key(self.keys[kid]))

    def revoke(self, jti: str) -> None:
        """Ends a token; the next broadcast tells."""
        self.revoked.append(RevokedToken(jti, int(time.time()) + 3600))
        self._auth.epoch += 1

    def _noted(self, answer: Any) -> Any:
        async def handle(ask: Any) -> Any:
            self.asked.append(ask)
            return None if self._auth.silent else answer(ask)

        return handle

    def _trust(self, _: AskTrust) -> Trust:
        keys = [VerifyingKey(kid=kid, public=public_of(private)) for kid, private in self.keys.items()]
        return Trust(epoch=self._auth.epoch, issuer=ISSUER, keys=keys, revoked=list(self.revoked))

    def _check(self, ask: IssueToken | IntrospectToken | RevokeToken) -> None:
        known = self.clients.get(ask.client_id)
        if known is None or digest(known) != ask.secret:
            raise Invalid("no such client", code="invalid_client")

    def _issue(self, ask: IssueToken) -> TokenIssued:
        self._check(ask)
        if self.suspended:
            raise Conflict("suspended", code="unauthorized_client")
        wanted = SCOPES if ask.scope is None else ask.scope.split()
        if not set(wanted) <= set(SCOPES):
            raise Invalid("too much", code="invalid_scope")
        token = self.token(scope=" ".join(wanted), sub=ask.client_id, client_id=ask.client_id)
        return TokenIssued(access_token=token, expires_in=3600, scope=" ".join(wanted))

    def _introspect(self, ask: IntrospectToken) -> TokenFacts:
        self._check(ask)
        claims = self._opened(ask.token)
        if claims is None or claims["jti"] in {each.jti for each in self.revoked}:
            return TokenFacts(active=False)
        return TokenFacts(active=True, token_type="Bearer", **claims)

    def _revoke(self, ask: RevokeToken) -> Done:
        self._check(ask)
        claims = self._opened(ask.token)
        if claims is not None and claims["client_id"] == ask.client_id:
            self.revoke(claims["jti"])
        return Done()

    def _opened(self, token: str) -> dict[str, Any] | None:
        try:
            return opened(token, {kid: verifying_key(public_of(private)) for kid, private in self.keys.items()})
        except Untrusted:
            return None


@contextlib.asynccontextmanager
async def issuing_gateway(
    settings: ServiceSettings, client: Client, **changes: Any
) -> AsyncIterator[tuple[Gateway, Issuer]]:
    """A gateway of this test's own whose auth issues tokens; `changes` are settings."""
    issuers: list[Issuer] = []

    async def begin(auth: Auth) -> None:
        issuers.append(Issuer(client, auth))
        await issuers[0].start()

    more = {"public_url": ISSUER} | changes
    async with running_gateway(settings, client, begin, **more) as gateway:
        try:
            yield gateway, issuers[0]
        finally:
            await issuers[0].leave()
