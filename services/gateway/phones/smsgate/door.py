"""Who calls: a phone by its token, or a new one by the enrolment key that its owner typed as the private token."""

import secrets
from typing import Final, NamedTuple

from services.gateway.errors import BadToken, NoCredential, RateLimited
from services.gateway.guesses import Guesses
from services.gateway.phones.admittance import TIMEOUT_S
from services.gateway.phones.frames import word
from services.gateway.phones.smsgate.wire import Described
from services.gateway.verdicts import Verdicts
from shared.bus.rpc import RpcClient
from shared.contracts.phone import Sim
from shared.contracts.registry import AUTH_ENROL, DISPATCHER_HELLO, DISPATCHER_RENEW
from shared.contracts.rpc.auth import Enrol, Enrolled
from shared.contracts.rpc.phones import OpenSession, RenewSessions
from shared.errors import Forbidden
from shared.security.secrets import digest

PROTOCOL: Final = "smsgate"
MAX_CREDENTIAL_CHARS: Final = 256
UNTOLD_SIMS: Final = [Sim(slot=1)]
"""An app that may not know its phone's SIMs sends by the one that Android chooses."""

_BEARER: Final = "bearer "


class Owner(NamedTuple):
    """Whose call it is."""

    account: int
    device: str


class Door:
    """Lets phones in."""

    def __init__(self, tokens: Verdicts, guesses: Guesses, rpc: RpcClient, gateway: str) -> None:
        """`tokens`: verdicts by the digest of a device's token; `gateway` is this replica's id."""
        self._tokens = tokens
        self._guesses = guesses
        self._rpc = rpc
        self._gateway = gateway

    async def owner(self, authorization: bytes | None, address: str) -> Owner:
        """Whose token it is. Raises NoCredential, BadToken, RateLimited, Unavailable.

        An address that has guessed too often is never told that a token is bad, for that makes the app register anew.
        """
        hashed = digest(_bearer(authorization))
        verdict = self._tokens.fresh(hashed)
        if verdict is None:
            if not self._tokens.knows(hashed) and not self._guesses.may_ask(address):
                raise RateLimited(1, "There were too many unknown tokens from this address.")
            verdict = await self._tokens.of(hashed)
        if verdict.account is None:
            self._guesses.missed(address, hashed)
            raise BadToken("The device token is not valid.")
        return Owner(verdict.account, verdict.subject)

    async def enrol(self, authorization: bytes | None, address: str, described: Described, software: str) -> Enrolled:
        """A new device, known to auth and to the dispatcher on return; a spent key gives the device that it made.

        Raises NoCredential, BadToken, RateLimited, Unavailable.
        """
        hashed = digest(_bearer(authorization))
        if not self._guesses.may_ask(address):
            raise RateLimited(1, "There were too many unknown keys from this address.")
        # A key that makes many devices must not make one that nobody then opens a session for.
        await self._rpc.ask(DISPATCHER_RENEW, RenewSessions(gateway=self._gateway, sessions=[]), TIMEOUT_S)
        try:
            enrolled = await self._rpc.ask(AUTH_ENROL, Enrol(digest=hashed, address=address), TIMEOUT_S)
        except Forbidden as error:
            self._guesses.missed(address, hashed)
            raise BadToken("The private token is no enrolment key, or no longer.") from error
        session = OpenSession(
            account=enrolled.account,
            device=enrolled.device,
            gateway=self._gateway,
            # Nobody knows what the app remembers when it registers: a new journal asks for nothing twice.
            journal=secrets.token_hex(16),
            name=word(described.name or "phone"),
            sims=described.sims or UNTOLD_SIMS,
            channels=["sms"],
            software=software,
            protocol=PROTOCOL,
            approved=enrolled.approved,
        )
        try:
            await self._rpc.ask(DISPATCHER_HELLO, session, TIMEOUT_S)
        except Forbidden as error:
            raise BadToken(str(error)) from error
        return enrolled


def _bearer(authorization: bytes | None) -> str:
    """The token. Raises NoCredential for none, and for the app's other ways to sign in, which are of no use here."""
    text = (authorization or b"").decode("latin-1")
    token = text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else ""
    if not token or len(token) > MAX_CREDENTIAL_CHARS:
        raise NoCredential("A phone shows its token, or an enrolment key as its private token.")
    return token
