"""Verdicts and access tokens: answered from memory, so that they need no Postgres; only a revocation is stored."""

from services.auth import tokens
from services.auth.directory import Directory
from services.auth.memory import Credential, Memory, has_secret
from services.auth.store.clients import Clients
from services.auth.uses import Gathered
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.audit import Actor
from shared.contracts.rpc.auth import (
    AskTrust,
    IntrospectToken,
    IssueToken,
    RevokeToken,
    TokenFacts,
    TokenIssued,
    Trust,
    Verdict,
    Verify,
)
from shared.errors import Conflict, Invalid, SmsFleetError, Unavailable
from shared.runtime.clock import Clock
from shared.security.jwt import Untrusted

_COUNTED = ("api_key", "client")
"""The kinds whose last use is kept."""


class TokenAnswers:
    """One method a question."""

    def __init__(
        self, clients: Clients, directory: Directory, gathered: Gathered, clock: Clock, issuer: str, ttl_s: int
    ) -> None:
        """`issuer` signs tokens that live for `ttl_s` seconds."""
        self._clients = clients
        self._directory = directory
        self._gathered = gathered
        self._clock = clock
        self._issuer = issuer
        self._ttl_s = ttl_s

    async def verify(self, request: Verify) -> Verdict:
        """Who is behind this credential, by all that this replica has heard of."""
        now = self._clock()
        verdict = (await self._directory.newest()).verdict(request.kind, request.digest, now)
        if verdict.account is not None and request.kind in _COUNTED:
            self._gathered.used(verdict.subject, now)
        return verdict

    async def issue(self, request: IssueToken) -> TokenIssued:
        """A token. Raises Invalid (`invalid_client`, `invalid_scope`), Conflict (`unauthorized_client`)."""
        memory, now = await self._directory.newest(), self._clock()
        try:
            client = _authenticated(memory, request.client_id, request.secret, now)
            if not memory.is_active(client.account):
                raise Conflict("The account is suspended.", code="unauthorized_client")
            scopes = tokens.granted(request.scope, client.scopes)
        except SmsFleetError as refusal:
            self._gathered.refused(memory, request.client_id, request.address, refusal.code, now)
            raise
        key = memory.keyring.signer(now)
        if key is None:
            raise Unavailable("There is no key that signs.")
        self._gathered.used(client.id, now)
        claims = tokens.claims_of(self._issuer, client.id, scopes, now, self._ttl_s)
        return TokenIssued(access_token=tokens.issue(claims, key), expires_in=self._ttl_s, scope=claims.scope)

    async def introspect(self, request: IntrospectToken) -> TokenFacts:
        """What a token of the asking client's account is worth (RFC 7662). Raises Invalid (`invalid_client`)."""
        memory, now = await self._directory.newest(), self._clock()
        asking = _authenticated(memory, request.client_id, request.secret, now)
        try:
            claims = self._read(memory, request.token, now)
        except Untrusted:
            return TokenFacts(active=False)
        owner = memory.client(claims.client_id, now)
        known = owner is not None and owner.account == asking.account and memory.is_active(owner.account)
        if owner is None or not known or memory.is_revoked(claims.jti):
            return TokenFacts(active=False)
        return TokenFacts(active=True, token_type="Bearer", **tokens.facts(claims, owner.scopes))  # noqa: S106

    async def revoke(self, request: RevokeToken) -> Done:
        """Ends a token of the asking client (RFC 7009). Raises Invalid (`invalid_client`)."""
        memory, now = await self._directory.newest(), self._clock()
        asking = _authenticated(memory, request.client_id, request.secret, now)
        try:
            claims = self._read(memory, request.token, now)
        except Untrusted:
            return Done()
        if claims.client_id == asking.id and not memory.is_revoked(claims.jti):
            actor = Actor(asking.id, "")
            epoch = await self._clients.revoke_token(asking.account, asking.id, claims.jti, claims.exp, actor)
            if epoch is not None:
                await self._directory.changed(epoch)
        return Done()

    async def trust(self, request: AskTrust) -> Trust:
        """What a gateway verifies tokens with."""
        return (await self._directory.newest()).trust(self._issuer, request.since, self._clock())

    def _read(self, memory: Memory, token: str, now: float) -> tokens.Claims:
        return tokens.read(token, memory.keyring.verifying(now), self._issuer, now)


def _authenticated(memory: Memory, client_id: str, secret: bytes, now: float) -> Credential:
    """The client that knows its secret. Raises Invalid (`invalid_client`) without saying what is wrong."""
    client = memory.client(client_id, now)
    if client is None or not has_secret(client, secret, now):
        raise Invalid("The client is unknown, has ended, or its secret is another one.", code="invalid_client")
    return client
