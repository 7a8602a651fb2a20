"""Finds the account behind a request's credentials (contract: SMSMobileAPI section 1.1)."""

from typing import Final

from services.gateway.dialects.smsmobile.errors import BadBearer
from services.gateway.dialects.smsmobile.parameters import Parameters
from services.gateway.errors import Suspended
from services.gateway.rates import Rates
from services.gateway.verdicts import Verdicts
from shared.contracts.rpc.auth import Verdict
from shared.errors import Forbidden
from shared.security.secrets import digest

MAX_CREDENTIAL_CHARS: Final = 4096


class Callers:
    """API keys as `apikey` or as a Bearer value, each held to its rate."""

    def __init__(self, verdicts: Verdicts, rates: Rates) -> None:
        """Asks these verdicts and rates."""
        self._verdicts = verdicts
        self._rates = rates

    async def identify(self, parameters: Parameters, authorization: bytes | None) -> Verdict:
        """The verdict on who calls; its `account` is never None.

        One valid credential is enough; two valid ones must be of the same account. Raises Forbidden, Suspended,
        RateLimited, or Unavailable when auth is away and the key is not known here.
        """
        key = parameters.get("apikey")
        if key is not None and authorization is None and len(key) <= MAX_CREDENTIAL_CHARS:
            hashed = digest(key)
            verdict = self._verdicts.fresh(hashed) or await self._verdicts.of(hashed)
        else:
            verdict = await self._of_several(key, _bearer(authorization))
        if verdict.account is None:
            raise Forbidden("The API key is not valid.")
        if not verdict.active:
            raise Suspended
        if verdict.rate_per_minute is not None:
            await self._rates.spend(verdict.subject, verdict.rate_per_minute)
        return verdict

    async def _of_several(self, key: str | None, bearer: str | None) -> Verdict:
        credentials = [text for text in dict.fromkeys((key, bearer)) if text]
        if not credentials:
            raise Forbidden("The API key is missing.")
        found: Verdict | None = None
        for credential in credentials:
            if len(credential) > MAX_CREDENTIAL_CHARS:
                continue
            verdict = await self._verdicts.of(digest(credential))
            if verdict.account is None:
                continue
            if found is not None and found.account != verdict.account:
                raise Forbidden("The API key and the Bearer token are of different accounts.")
            found = found or verdict
        if found is not None:
            return found
        if bearer:
            raise BadBearer
        raise Forbidden("The API key is not valid.")


def _bearer(authorization: bytes | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, value = authorization.decode("latin-1").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
