"""Judges access tokens by what this gateway knows, so that a request with one costs no question."""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec

from services.gateway.bearer import Keys, Token, read
from services.gateway.errors import BadToken
from services.gateway.trust import Trust
from services.gateway.verdicts import Verdicts
from shared.contracts.rpc.auth import Verdict
from shared.security.jwt import UnknownKey
from shared.security.secrets import digest

MAX_VERIFIED: Final = 50_000


class _Entry:
    __slots__ = ("client", "ends_at", "jti", "keys", "narrowed", "scopes", "verdict")

    def __init__(self, token: Token, keys: Keys) -> None:
        self.jti = token.jti
        self.ends_at = token.ends_at
        self.scopes = token.scopes
        self.keys = keys
        self.client = digest(token.client_id)
        self.verdict: Verdict | None = None
        self.narrowed: Verdict | None = None


class Tokens:
    """Remembers verified tokens by digest until they expire.

    Nothing else about them is remembered: whether they were revoked, and what their client may still do, is looked up
    on every use.
    """

    def __init__(self, trust: Trust, clients: Verdicts, clock: Callable[[], float]) -> None:
        """`clients`: verdicts by the digest of a client_id; `clock` gives Unix seconds."""
        self._trust = trust
        self._clients = clients
        self._clock = clock
        self._verified: dict[bytes, _Entry] = {}

    def fresh(self, value: bytes) -> Verdict | None:
        """The verdict that may be used right now, if there is one, with the scopes that the token still has."""
        entry = self._verified.get(sha256(value).digest())
        if entry is None or entry.ends_at <= self._clock() or not self._trust.upholds(entry.jti, entry.keys):
            return None
        verdict = self._clients.fresh(entry.client)
        return None if verdict is None else _narrowed(entry, verdict)

    async def of(self, value: str) -> Verdict:
        """The verdict on this token, whose `account` is never None, with the scopes that both it and its client have.

        Raises BadToken, or Unavailable when it cannot be judged while auth is away.
        """
        entry = await self._entry(value)
        if entry.ends_at <= self._clock():
            raise BadToken("The Bearer token has expired.")
        verdict = await self._clients.of(entry.client)
        if verdict.account is None:
            raise BadToken("The Bearer token's client is not valid any more.")
        # Last, because a revocation may have been heard of during the question.
        await self._trust.settle()
        if self._trust.revoked(entry.jti):
            raise BadToken("The Bearer token was revoked.")
        return _narrowed(entry, verdict)

    async def _entry(self, value: str) -> _Entry:
        """The token once its signature was verified with keys that still count. Raises BadToken, Unavailable."""
        await self._trust.settle()
        hashed = digest(value)
        entry = self._verified.get(hashed)
        if entry is not None and entry.keys is self._trust.keys:
            return entry
        try:
            token = self._read(value)
        except UnknownKey:
            await self._trust.look_again()
            try:
                token = self._read(value)
            except UnknownKey as error:
                raise BadToken from error
        while len(self._verified) >= MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]
        entry = self._verified[hashed] = _Entry(token, self._trust.keys)
        return entry

    def _read(self, value: str) -> Token:
        return read(value, self._trust.keys, self._trust.issuer, self._clock())


def _narrowed(entry: _Entry, verdict: Verdict) -> Verdict:
    """The client's verdict with those of its scopes that the token has."""
    if entry.verdict is not verdict or entry.narrowed is None:
        allowed = [scope for scope in verdict.scopes if scope in entry.scopes]
        entry.verdict, entry.narrowed = verdict, msgspec.structs.replace(verdict, scopes=allowed)
    return entry.narrowed
