"""Finds the account behind a request's credentials, for every dialect (contract: SMSMobileAPI section 1.1)."""

from typing import Final

from services.gateway.bearer import is_token
from services.gateway.errors import BadKey, BadToken, NoCredential, Suspended
from services.gateway.guesses import Guesses
from services.gateway.rates import Rates
from services.gateway.tokens import Tokens
from services.gateway.verdicts import Verdicts
from shared.contracts.rpc.auth import Verdict
from shared.errors import Forbidden, Unavailable
from shared.security.secrets import digest

MAX_CREDENTIAL_CHARS: Final = 4096

Client = tuple[str, int] | None
"""The address and port that a request comes from, as ASGI has it."""

_BEARER: Final = b"bearer "
_NOBODY: Final = Verdict(epoch=0)


class Callers:
    """API keys as `apikey` or as a Bearer value, and access tokens, each held to its rate."""

    def __init__(self, keys: Verdicts, tokens: Tokens, rates: Rates, guesses: Guesses) -> None:
        """`keys`: verdicts by the digest of an API key."""
        self._keys = keys
        self._tokens = tokens
        self._rates = rates
        self._guesses = guesses

    async def identify(self, key: str | None, authorization: bytes | None, client: Client) -> Verdict:
        """The verdict on who calls; its `account` is never None.

        One valid credential is enough; two valid ones must be of the same account. Raises NoCredential, BadKey,
        BadToken, Forbidden, Suspended, RateLimited, or Unavailable when auth is away and the credential is not known
        here.
        """
        if authorization is None and key is not None and len(key) <= MAX_CREDENTIAL_CHARS:
            hashed = digest(key)
            verdict = self._keys.fresh(hashed) or await self._of_key(hashed, client)
        elif key is None and authorization is not None and authorization[:7].lower() == _BEARER:
            verdict = self._tokens.fresh(authorization[7:]) or await self._of_bearer(authorization, client)
        else:
            verdict = await self._of_several(key, _bearer(authorization), client)
        if verdict.account is None:
            raise BadKey
        if not verdict.active:
            raise Suspended
        if verdict.rate_per_minute is not None:
            await self._rates.spend(verdict.subject, verdict.rate_per_minute)
        return verdict

    async def _of_bearer(self, authorization: bytes, client: Client) -> Verdict:
        bearer = _bearer(authorization)
        if bearer is not None and is_token(bearer):
            return await self._tokens.of(bearer)
        return await self._of_several(None, bearer, client)

    async def _of_several(self, key: str | None, bearer: str | None, client: Client) -> Verdict:
        credentials = [text for text in dict.fromkeys((key, bearer)) if text]
        if not credentials:
            raise NoCredential
        found: Verdict | None = None
        away: Unavailable | None = None
        for credential in credentials:
            try:
                verdict = await self._of_one(credential, credential == bearer, client)
            except Unavailable as error:
                away = error
                continue
            if verdict.account is None:
                continue
            if found is not None and found.account != verdict.account:
                raise Forbidden("The API key and the Bearer token are of different accounts.")
            found = found or verdict
        if found is not None:
            return found
        if away is not None:
            raise away
        raise BadToken if bearer else BadKey

    async def _of_one(self, credential: str, is_bearer: bool, client: Client) -> Verdict:
        """The verdict, whose `account` is None for a credential that is nobody's. Raises Unavailable."""
        if len(credential) > MAX_CREDENTIAL_CHARS:
            return _NOBODY
        if not (is_bearer and is_token(credential)):
            return await self._of_key(digest(credential), client)
        try:
            return await self._tokens.of(credential)
        except BadToken:
            return _NOBODY

    async def _of_key(self, hashed: bytes, client: Client) -> Verdict:
        address = client[0] if client else ""
        if not self._keys.knows(hashed) and not self._guesses.may_ask(address):
            return _NOBODY
        verdict = await self._keys.of(hashed)
        if verdict.account is None:
            self._guesses.missed(address, hashed)
        return verdict


def _bearer(authorization: bytes | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, value = authorization.decode("latin-1").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
